//! The table is Flask-Session's, whoever made it.

use super::*;

async fn makes_one_table_from_many_places(url: &str) {
    let opened: Vec<_> = (0..8)
        .map(|_| {
            let store = open(url);
            tokio::spawn(async move { store.ping().await })
        })
        .collect();
    for opened in opened {
        opened.await.unwrap().unwrap();
    }
}

#[rocket::async_test]
async fn the_table_on_postgresql_is_as_sqlalchemy_makes_it() {
    let test = "the_table_on_postgresql_is_as_sqlalchemy_makes_it";
    let Some(server) = Postgres::start(test, &[]) else { return };
    makes_one_table_from_many_places(&server.url()).await;
    let columns = server.sql(
        "SELECT column_name, data_type, character_maximum_length, is_nullable, column_default \
         FROM information_schema.columns WHERE table_name = 'sessions' ORDER BY ordinal_position",
    );
    assert_eq!(
        columns,
        "id|integer||NO|nextval('sessions_id_seq'::regclass)\n\
         session_id|character varying|255|YES|\n\
         data|bytea||YES|\n\
         expiry|timestamp without time zone||YES|"
    );
    let unique = "SELECT count(*) FROM pg_constraint WHERE conname = 'sessions_session_id_key'";
    assert_eq!(server.sql(unique), "1");

    server.sql("CREATE SCHEMA \"web-1\" AUTHORIZATION dewar");
    let more =
        [("SESSION_SQLALCHEMY_TABLE", "My-Sessions"), ("SESSION_SQLALCHEMY_SCHEMA", "web-1")];
    let (store, key) = (open_with(&server.url(), &more), key());
    assert!(store.create(&key, b"x", LONG).await.unwrap());
    assert_eq!(server.sql("SELECT count(*) FROM \"web-1\".\"My-Sessions\""), "1");

    // An account that may use the table need not be one that could make it.
    server.sql("ALTER DATABASE dewar OWNER TO postgres");
    assert!(open(&server.url()).create(&key, b"x", LONG).await.unwrap());
    server.sql(
        "CREATE ROLE other LOGIN PASSWORD 'secret'; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO other; \
         GRANT USAGE ON SEQUENCE sessions_id_seq TO other",
    );
    let url = server.url().replace("dewar:secret", "other:secret");
    assert!(open(&url).load(&key).await.unwrap().is_some());
    assert!(open(&url).create(&self::key(), b"x", LONG).await.unwrap());
    let more = [("SESSION_SQLALCHEMY_TABLE", "other")];
    let refused = open_with(&server.url(), &more).ping().await.unwrap_err().to_string();
    assert!(refused.contains("permission denied for schema public"), "{refused}");
}

#[rocket::async_test]
async fn the_table_on_mariadb_is_as_sqlalchemy_makes_it_but_for_room_and_case() {
    let test = "the_table_on_mariadb_is_as_sqlalchemy_makes_it_but_for_room_and_case";
    let Some(server) = Mariadb::start(test) else { return };
    makes_one_table_from_many_places(&server.url()).await;
    let columns = server.sql(
        "SELECT column_name, column_type, is_nullable, column_key, extra, \
         COALESCE(collation_name, '') FROM information_schema.columns \
         WHERE table_name = 'sessions' ORDER BY ordinal_position",
    );
    let columns: Vec<_> = columns.lines().map(str::trim_end).collect();
    assert_eq!(
        columns,
        [
            "id\tint(11)\tNO\tPRI\tauto_increment",
            "session_id\tvarchar(255)\tYES\tUNI\t\tutf8mb4_bin",
            "data\tlongblob\tYES",
            "expiry\tdatetime\tYES\tMUL",
        ]
    );
}

#[rocket::async_test]
async fn expiry_is_in_utc_whatever_the_zone_of_the_connection() {
    let test = "expiry_is_in_utc_whatever_the_zone_of_the_connection";
    let (Some(postgres), Some(mariadb)) = (Postgres::start(test, &[]), Mariadb::start(test)) else {
        return;
    };
    postgres.sql("ALTER ROLE dewar SET timezone = 'Asia/Shanghai'");
    mariadb.sql("SET GLOBAL time_zone = '-07:00'");
    for url in [postgres.url(), mariadb.url()] {
        let (store, key) = (open(&url), key());
        assert!(store.create(&key, b"x", LONG).await.unwrap());
        let left = store.load(&key).await.unwrap().unwrap().expires_in.unwrap();
        assert!(left > LONG - Duration::from_secs(30), "{left:?}");
    }
    let left = "SELECT EXTRACT(EPOCH FROM expiry - (now() AT TIME ZONE 'UTC'))::int FROM sessions";
    let left: u64 = postgres.sql(left).parse().unwrap();
    assert!((3570..=3600).contains(&left), "{left}");
    let left = "SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), expiry) FROM sessions";
    let left: u64 = mariadb.sql(left).parse().unwrap();
    assert!((3570..=3601).contains(&left), "{left}");
}

#[rocket::async_test]
async fn a_row_without_expiry_is_no_session_and_makes_room_for_one() {
    let test = "a_row_without_expiry_is_no_session_and_makes_room_for_one";
    let (Some(postgres), Some(mariadb)) = (Postgres::start(test, &[]), Mariadb::start(test)) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sessions.db");
    let in_file = |sql: &str| {
        rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        String::new()
    };
    let engines: [(String, Run); 3] = [
        (postgres.url(), &|sql| postgres.sql(sql)),
        (mariadb.url(), &|sql| mariadb.sql(sql)),
        (sqlite(dir.path()), &in_file),
    ];
    for (url, run) in engines {
        let (store, [lasting, moving]) = (open(&url), [key(), key()]);
        store.ping().await.unwrap();
        let row = format!("('{}', NULL, NULL)", lasting.as_str());
        run(&format!("INSERT INTO sessions (session_id, data, expiry) VALUES {row}"));
        assert_eq!(store.load(&lasting).await.unwrap(), None);
        assert!(!store.touch(&lasting, LONG).await.unwrap());
        assert!(store.create(&moving, b"x", LONG).await.unwrap());
        let moved = Replacement::Moved {
            key: lasting.clone(),
            bytes: b"y".to_vec(),
            ttl: LONG,
            forward: None,
        };
        assert!(store.replace(&moving, b"x", &moved).await.unwrap());
        assert_eq!(store.load(&lasting).await.unwrap().unwrap().bytes, b"y");
    }
}

/// As Flask-Session makes it on MySQL, in the database's usual collation.
const AS_FLASK_MAKES_IT: &str = "CREATE TABLE sessions (id INTEGER NOT NULL AUTO_INCREMENT, \
    session_id VARCHAR(255), data BLOB, expiry DATETIME, PRIMARY KEY (id), UNIQUE (session_id)) \
    COLLATE utf8mb4_general_ci";

#[rocket::async_test]
async fn a_key_in_other_letters_is_another_key_even_where_mariadb_takes_them_for_the_same() {
    let test = "a_key_in_other_letters_is_another_key_even_where_mariadb_takes_them_for_the_same";
    let Some(server) = Mariadb::start(test) else { return };
    server.sql(AS_FLASK_MAKES_IT);
    let (store, key) = (open(&server.url()), StoreKey::new("session:AbC"));
    assert!(store.create(&key, b"x", LONG).await.unwrap());
    for other in ["session:abc", "SESSION:AbC", "session:AbC ", "session:ÁbC"] {
        let other = StoreKey::new(other);
        assert_eq!(store.load(&other).await.unwrap(), None, "{other:?}");
        assert!(!store.touch(&other, LONG).await.unwrap());
        assert!(!store.replace(&other, b"x", &Replacement::Removed).await.unwrap());
        store.delete(&other).await.unwrap();
    }
    assert!(store.load(&key).await.unwrap().is_some());
    assert!(store.scan("Session:", None, 10).await.unwrap().unwrap().sessions.is_empty());
}

#[rocket::async_test]
async fn a_record_too_long_for_flasks_table_is_refused_and_not_cut() {
    let test = "a_record_too_long_for_flasks_table_is_refused_and_not_cut";
    let Some(server) = Mariadb::start(test) else { return };
    server.sql(AS_FLASK_MAKES_IT);
    // What a lenient server would do.
    server.sql("SET GLOBAL sql_mode = ''");
    let (store, key) = (open(&server.url()), key());
    assert!(store.create(&key, b"small", LONG).await.unwrap());
    let large = vec![b'x'; 65_536];
    let bytes = Replacement::Bytes { bytes: large.clone(), ttl: LONG };
    for refused in [
        store.replace(&key, b"small", &bytes).await,
        store.create(&self::key(), &large, LONG).await,
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("MODIFY data LONGBLOB"), "{refused}");
    }
    assert_eq!(store.load(&key).await.unwrap().unwrap().bytes, b"small");
    server.sql("ALTER TABLE sessions MODIFY data LONGBLOB");
    assert!(store.replace(&key, b"small", &bytes).await.unwrap());
}

#[rocket::async_test]
async fn a_table_that_goes_missing_is_an_error_and_not_an_empty_store() {
    let test = "a_table_that_goes_missing_is_an_error_and_not_an_empty_store";
    let (Some(postgres), Some(mariadb)) = (Postgres::start(test, &[]), Mariadb::start(test)) else {
        return;
    };
    let engines: [(String, Run); 2] =
        [(postgres.url(), &|sql| postgres.sql(sql)), (mariadb.url(), &|sql| mariadb.sql(sql))];
    for (url, run) in engines {
        let (store, key) = (open(&url), key());
        assert!(store.create(&key, b"x", LONG).await.unwrap());
        run("ALTER TABLE sessions RENAME TO elsewhere");
        let missing = store.load(&key).await.unwrap_err().to_string();
        assert!(missing.contains("the table of the sessions is missing"), "{missing}");
        assert!(store.create(&self::key(), b"x", LONG).await.is_err());
        run("ALTER TABLE elsewhere RENAME TO sessions");
        assert!(store.load(&key).await.unwrap().is_some());
    }
}

/// Sweeps by several nodes and refreshes in between get in each other's way and end well.
#[rocket::async_test]
async fn sweeps_at_the_same_time_take_each_expired_record_once() {
    let test = "sweeps_at_the_same_time_take_each_expired_record_once";
    let (Some(postgres), Some(mariadb)) = (Postgres::start(test, &[]), Mariadb::start(test)) else {
        return;
    };
    for url in [postgres.url(), mariadb.url()] {
        let store = open(&url);
        let live = key();
        assert!(store.create(&live, b"x", LONG).await.unwrap());
        for _ in 0..200 {
            assert!(store.create(&key(), b"x", Duration::from_millis(1)).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let sweeps: Vec<_> = (0..4)
            .map(|_| {
                let (store, live) = (Arc::clone(&store), live.clone());
                tokio::spawn(async move {
                    let mut swept = 0;
                    for _ in 0..20 {
                        swept += store.sweep(10).await.unwrap();
                        assert!(store.touch(&live, LONG).await.unwrap());
                    }
                    swept
                })
            })
            .collect();
        let mut swept = 0;
        for sweep in sweeps {
            swept += sweep.await.unwrap();
        }
        swept += store.sweep(1000).await.unwrap();
        assert_eq!(swept, 200);
        assert!(store.load(&live).await.unwrap().is_some());
    }
}
