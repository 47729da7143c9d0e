//! What can be in the audit trail.

macro_rules! events {
    ($($(#[$doc:meta])+ $event:ident = $name:literal,)+) => {
        /// A kind of entry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Event {
            $($(#[$doc])+ $event,)+
        }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$event,)+];

            /// Its name, as it is stored and shown.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$event => $name,)+
                }
            }
        }
    };
}

events! {
    /// Somebody has signed in.
    SignIn = "sign-in",
    /// A wrong pair of name and password.
    FailedSignIn = "failed-sign-in",
    /// Somebody is told to wait before the next try.
    Throttled = "throttled",
    /// Somebody has signed out.
    SignOut = "sign-out",
    /// Somebody has ended another session of their own.
    SessionEnded = "session-ended",
    /// Somebody has ended all of their other sessions.
    OtherSessionsEnded = "other-sessions-ended",
    /// A new password, and the end of the sessions under the old one.
    PasswordChanged = "password-changed",
    /// Somebody signed in who wanted a new password did not know the current one.
    FailedPasswordChange = "failed-password-change",
    /// A new account.
    AccountAdded = "account-added",
    /// An account is locked.
    AccountDisabled = "account-disabled",
    /// An account is unlocked.
    AccountEnabled = "account-enabled",
    /// An account is gone.
    AccountRemoved = "account-removed",
    /// Sessions were ended by a command.
    SessionsRevoked = "sessions-revoked",
    /// The roster was changed by a command.
    StudentsChanged = "students-changed",
}

impl Event {
    /// The kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody on the network, signed in or not.
    Visitor,
    /// Whoever runs commands on the server.
    Operator,
    /// The server, which counts.
    Server,
}

impl Actor {
    /// Its name, as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Operator => "operator",
            Self::Server => "server",
        }
    }
}
