//! A configuration file: it is refused, or what comes of it keeps its promises.
#![no_main]

use std::time::{Duration, SystemTime};

use dewar::session::Settings;
use figment::Figment;
use figment::providers::{Format, Toml};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let figment = Figment::from(Toml::string(text).nested()).select("default");
    let settings = match Settings::from_figment(&figment) {
        Ok(settings) => settings,
        Err(error) => return assert!(!error.problems.is_empty()),
    };
    assert!((16..=128).contains(&settings.id_length));
    assert!(settings.lifetime >= Duration::from_secs(1));
    assert!(settings.fallbacks.iter().all(|key| !key.expose().is_empty()));
    for header in [settings.cookie.set("value", Some(SystemTime::now())), settings.cookie.remove()]
    {
        assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header:?}");
        assert!(header.starts_with(&format!("{}=", settings.cookie.name)), "{header:?}");
        assert!(header.contains("; Path=/"), "{header:?}");
    }
});
