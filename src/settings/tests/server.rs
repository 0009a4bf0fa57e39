//! The server as a host, a user and a password in plain text.

use super::*;

fn server(pairs: &[(&str, &str)]) -> Result<MongoUri, Faults> {
    Settings::load(vars(pairs), Needs::Server).map(|settings| settings.mongodb.unwrap())
}

fn refusals(pairs: &[(&str, &str)]) -> Vec<String> {
    let faults = server(pairs).expect_err("accepted").0;
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_password_is_given_as_it_is() -> Result<(), Faults> {
    let password = "p@ss/w:rd $x #1%25 'ñ\" ";
    let uri = server(&[
        ("MONGODB_HOST", "mongodb"),
        ("MONGODB_USERNAME", " ro:ot "),
        ("MONGODB_PASSWORD", password),
    ])?;
    assert_eq!(uri.hosts(), "mongodb:27017");
    assert_eq!(uri.user(), Some("ro:ot"));
    assert_eq!(uri.password().map(Secret::expose), Some(password));
    assert_eq!(uri.option("authSource"), Some("admin"));
    assert_eq!(uri.setting(), "MONGODB_HOST");
    assert_eq!(uri.password_setting(), "MONGODB_PASSWORD");
    Ok(())
}

#[test]
fn hosts_come_alone_with_a_port_or_as_a_list() -> Result<(), Faults> {
    for (given, text) in [
        ("db", "mongodb://db/"),
        ("db:27018", "mongodb://db:27018/"),
        ("a, b:27018,c", "mongodb://a,b:27018,c/"),
        ("[::1]:27017", "mongodb://[::1]:27017/"),
    ] {
        assert_eq!(server(&[("MONGODB_HOST", given)])?.expose(), text);
    }
    Ok(())
}

#[test]
fn each_part_may_stand_in_a_file() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("host"), "\u{feff}db\n")?;
    std::fs::write(path("user"), "root\n")?;
    std::fs::write(path("password"), "\u{feff}pa$word #1 \r\n")?;
    let uri = server(&[
        ("MONGODB_HOST_FILE", &path("host")),
        ("MONGODB_USERNAME_FILE", &path("user")),
        ("MONGODB_PASSWORD_FILE", &path("password")),
    ])?;
    assert_eq!(uri.password().map(Secret::expose), Some("pa$word #1 "));
    Ok(())
}

#[test]
fn two_ways_at_once_and_halves_are_refused() {
    let help = |uri: &str| {
        format!(
            "keep one of the two: {uri}, or MONGODB_HOST with MONGODB_USERNAME and MONGODB_PASSWORD, which \
             docker-compose.yml sets under environment"
        )
    };
    for uri in ["MONGODB_URI", "DATABASE_URL"] {
        assert_eq!(
            refusals(&[(uri, URI), ("MONGODB_HOST", "db")]),
            [format!(
                "MONGODB_HOST: \"db\" cannot be combined with {uri}; {}",
                help(uri)
            )]
        );
    }
    assert_eq!(
        refusals(&[("MONGODB_URI", URI), ("MONGODB_PASSWORD", "hunter22")]),
        [format!(
            "MONGODB_PASSWORD: \"***\" cannot be combined with MONGODB_URI; {}",
            help("MONGODB_URI")
        )]
    );
    assert_eq!(
        refusals(&[("MONGODB_HOST", "db"), ("MONGODB_USERNAME", "root")]),
        ["MONGODB_PASSWORD: is not set, but MONGODB_USERNAME is; set both, or neither"]
    );
    assert_eq!(
        refusals(&[("MONGODB_HOST", "db"), ("MONGODB_PASSWORD", "hunter22")]),
        ["MONGODB_USERNAME: is not set, but MONGODB_PASSWORD is; set both, or neither"]
    );
    assert_eq!(
        refusals(&[
            ("MONGODB_USERNAME", "root"),
            ("MONGODB_PASSWORD", "hunter22")
        ]),
        [
            "MONGODB_HOST: is not set, but MONGODB_USERNAME is; set the name of the server, or put user and password into \
          MONGODB_URI"
        ]
    );
}

#[test]
fn what_is_no_host_is_refused() {
    let hosts = "write the server as HOST or HOST:PORT, several of them with commas between";
    for (given, message) in [
        (
            "mongodb+srv://db",
            "is a connection string; put it into MONGODB_URI, or give the host alone".to_owned(),
        ),
        ("db/shop", format!("is not a host; {hosts}")),
        (
            "db:x",
            format!("has a port that is not a number from 1 to 65535; {hosts}"),
        ),
        (
            "a,,b",
            format!("has no host, or an empty one in its list of hosts; {hosts}"),
        ),
    ] {
        assert_eq!(
            refusals(&[("MONGODB_HOST", given)]),
            [format!("MONGODB_HOST: \"{given}\" {message}")]
        );
    }
    assert_eq!(
        refusals(&[
            ("MONGODB_HOST", "db"),
            ("MONGODB_USERNAME", "root"),
            ("MONGODB_PASSWORD", "hunter22\r")
        ]),
        [
            "MONGODB_PASSWORD: \"***\" has a line break or another control character; give the password alone, on one line"
        ]
    );
}

#[test]
fn the_password_is_hidden_in_every_encoding_even_when_it_is_not_accepted() {
    let password = "p@ss/w:rd \"x\"";
    for host in ["db", "db/shop", ""] {
        let pairs = [
            ("MONGODB_HOST", host),
            ("MONGODB_USERNAME", "root"),
            ("MONGODB_PASSWORD", password),
        ];
        let line = "p@ss/w:rd \"x\" p%40ss%2Fw%3Ard%20%22x%22 p%40ss%2fw%3ard%20%22x%22 p@ss/w:rd \\\"x\\\"";
        assert_eq!(redactor(vars(&pairs)).redact(line), "*** *** *** ***");
    }
}
