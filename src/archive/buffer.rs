//! Buffers that are about to be read into.

/// Gives a buffer a length; what is in it is to be overwritten. `Vec::resize` fills byte by byte where a program is built for
/// its size, as ours is, which took longer than to decompress what was read.
pub(crate) fn set_length(buffer: &mut Vec<u8>, length: usize) {
    const ZEROS: [u8; 4096] = [0; 4096];
    buffer.truncate(length);
    buffer.reserve(length - buffer.len());
    while buffer.len() < length {
        let missing = (length - buffer.len()).min(ZEROS.len());
        buffer.extend_from_slice(&ZEROS[..missing]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_and_what_is_new_is_zero() {
        let mut buffer = vec![1, 2, 3];
        for length in [4, 9000, 4096, 2, 0, 8192] {
            let kept = buffer.len().min(length);
            let before = buffer[..kept].to_vec();
            set_length(&mut buffer, length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.starts_with(&before) && buffer[kept..].iter().all(|byte| *byte == 0));
        }
    }
}
