//! What an archive is compressed with: gzip, which everything reads, or zstd, which is smaller and faster.

/// How the tar inside an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// `.tar.gz`
    Gzip,
    /// `.tar.zst`
    Zstd,
}

impl Compression {
    pub(crate) const ALL: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

    /// What the names of such archives end in.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Compression::Gzip => ".tar.gz",
            Compression::Zstd => ".tar.zst",
        }
    }

    /// The stock command that unpacks such an archive, without its name.
    pub(crate) fn unpack_command(self) -> &'static str {
        match self {
            Compression::Gzip => "tar xzf",
            Compression::Zstd => "tar --zstd -xf",
        }
    }

    /// By a file's name; what bears another is taken for gzip, and found out when it is read.
    pub(crate) fn of_name(file_name: &str) -> Self {
        // A sealed archive has this behind its name.
        let file_name = file_name.strip_suffix(".age").unwrap_or(file_name);
        let named = |compression: &Compression| file_name.ends_with(compression.extension());
        Compression::ALL
            .into_iter()
            .find(named)
            .unwrap_or(Compression::Gzip)
    }

    /// By a file's first bytes, which tell zstd's frames; the rest is left to gzip to read or to refuse.
    pub(crate) fn of_content(first_bytes: &[u8]) -> Self {
        match first_bytes {
            // A frame of data, or one of those that are to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::Gzip,
        }
    }
}
