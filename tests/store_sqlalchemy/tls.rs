//! `sslmode` and its like mean what they mean to libpq and to MySQL's clients.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

use super::*;
use support::has;

/// Makes a certificate for 127.0.0.1 that signs itself, and its key, for the owner of the directory.
fn certificate(dir: &Path, name: &str) -> String {
    let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-keyout", &key, "-out", &certificate, "-days", "2", "-subj"])
        .arg(format!("/CN={name}"))
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let owner = dir.metadata().unwrap();
    for file in [&key, &certificate] {
        chown(dir.join(file), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    dir.join(certificate).display().to_string()
}

fn openssl(test: &str) -> bool {
    has(servers::find("openssl").is_some(), "openssl", test)
}

async fn check(url: &str, words: Option<&str>) {
    match (open(url).ping().await, words) {
        (Ok(()), None) => {}
        (Err(error), Some(words)) => {
            let shown = error.to_string();
            assert!(shown.contains(words), "{url}: {shown}");
        }
        (result, _) => panic!("{url}: {result:?}, not {words:?}"),
    }
}

#[rocket::async_test]
async fn postgresql_speaks_tls_as_sslmode_says() {
    let test = "postgresql_speaks_tls_as_sslmode_says";
    let Some(server) = Postgres::start(test, &[]) else { return };
    if !openssl(test) {
        return;
    }
    let in_mode = |mode: &str| format!("{}?sslmode={mode}", server.url());
    check(&in_mode("prefer"), None).await;
    check(&in_mode("require"), Some("does not support TLS")).await;

    let own = certificate(server.dir(), "own");
    let other = certificate(server.dir(), "other");
    server.sql(&format!("ALTER SYSTEM SET ssl_cert_file = '{own}'"));
    server.sql(&format!("ALTER SYSTEM SET ssl_key_file = '{}'", own.replace(".pem", ".key")));
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql("SELECT pg_reload_conf()");
    tokio::time::sleep(Duration::from_millis(500)).await;
    for (mode, encrypted) in [("disable", "f"), ("prefer", "t"), ("require", "t")] {
        let store = open(&in_mode(mode));
        store.ping().await.unwrap();
        let told = server.sql(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE usename = 'dewar' ORDER BY backend_start DESC LIMIT 1",
        );
        assert_eq!(told, encrypted, "{mode}");
    }
    let unknown = "UnknownIssuer";
    check(&in_mode("verify-ca"), Some(unknown)).await;
    check(&in_mode("verify-full"), Some(unknown)).await;
    let elsewhere = |url: String| url.replace("127.0.0.1", "localhost");
    for mode in ["require", "verify-ca", "verify-full"] {
        check(&format!("{}&sslrootcert={own}", in_mode(mode)), None).await;
        check(&format!("{}&sslrootcert={other}", in_mode(mode)), Some("invalid peer")).await;
    }
    check(&elsewhere(format!("{}&sslrootcert={own}", in_mode("verify-ca"))), None).await;
    let full = elsewhere(format!("{}&sslrootcert={own}", in_mode("verify-full")));
    check(&full, Some("not valid for name")).await;
}

#[rocket::async_test]
async fn mariadb_speaks_tls_as_ssl_mode_says() {
    let test = "mariadb_speaks_tls_as_ssl_mode_says";
    let Some(mut server) = Mariadb::start(test) else { return };
    if !openssl(test) {
        return;
    }
    let in_mode = |server: &Mariadb, mode: &str| format!("{}?ssl_mode={mode}", server.url());
    check(&server.url(), None).await;
    check(&in_mode(&server, "REQUIRED"), Some("does not have this capability")).await;

    let own = certificate(server.service.dir(), "own");
    let other = certificate(server.service.dir(), "other");
    server.service.kill();
    server.service.restart();
    server.sql("ALTER USER dewar@127.0.0.1 REQUIRE SSL");
    check(&in_mode(&server, "DISABLED"), Some("Access denied")).await;
    check(&in_mode(&server, "REQUIRED"), None).await;
    check(&in_mode(&server, "VERIFY_IDENTITY"), Some("UnknownIssuer")).await;
    for mode in ["REQUIRED", "VERIFY_IDENTITY"] {
        check(&format!("{}&ssl_ca={own}", in_mode(&server, mode)), None).await;
        check(&format!("{}&ssl_ca={other}", in_mode(&server, mode)), Some("invalid peer")).await;
    }
    check(&format!("{}?ssl_ca={own}", server.url()), None).await;
    server.sql("RENAME USER dewar@127.0.0.1 TO dewar@localhost");
    let elsewhere = format!("{}?ssl_ca={own}", server.url()).replace("127.0.0.1", "localhost");
    check(&elsewhere, Some("not valid for name")).await;
}
