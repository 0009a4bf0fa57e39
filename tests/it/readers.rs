//! Programs that people unpack archives with.

use crate::support::{Server, Site, command, member_names, needed};
use std::path::Path;

/// The names that a program lists.
fn listed(program: &Path, arguments: &[&str]) -> Vec<String> {
    let program = program.to_str().unwrap();
    // In a locale without ñ some of them print an escape instead.
    let output = command("env", ["LC_ALL=C.UTF-8", program].iter().chain(arguments));
    let mut names: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

#[test]
fn gnu_tar_busybox_bsdtar_and_python_list_the_same_files() {
    let server = Server::standalone();
    for set in ["small", "names", "options"] {
        server.seed(set);
    }
    let site = Site::of(&server);
    site.run(&["backup"]).done();
    let archive = site.archive();
    let path = archive.to_str().unwrap();
    let mut expected = member_names(&archive);
    expected.sort();
    assert!(
        expected.iter().any(|name| name.len() > 255),
        "no name is long"
    );
    assert!(
        expected.iter().any(|name| name.contains('ñ')),
        "no name is special"
    );

    let gnu = needed("tar", "it is part of every distribution");
    let busybox = needed("busybox", "apt-get install busybox");
    let bsdtar = needed("bsdtar", "apt-get install libarchive-tools");
    let python = needed("python3", "apt-get install python3");
    let script = "import sys, tarfile\nfor member in tarfile.open(sys.argv[1]): print(member.name)";
    assert_eq!(listed(&gnu, &["tzf", path]), expected, "GNU tar");
    assert_eq!(listed(&busybox, &["tar", "tzf", path]), expected, "busybox");
    assert_eq!(listed(&bsdtar, &["tzf", path]), expected, "bsdtar");
    assert_eq!(listed(&python, &["-c", script, path]), expected, "Python");
}
