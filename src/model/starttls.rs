//! Protocols that begin in clear and go over to TLS on the same connection.

/// How a server is asked to go over to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 9051 §6.2.1.
    Imap,
    /// RFC 2595 §4.
    Pop3,
    /// RFC 4511 §4.14.
    Ldap,
    /// PostgreSQL's frontend/backend protocol, "SSL Session Encryption".
    Postgres,
    /// MySQL's and MariaDB's client/server protocol, "SSLRequest".
    Mysql,
}

impl StartTls {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Smtp, Self::Imap, Self::Pop3, Self::Ldap, Self::Postgres, Self::Mysql];

    /// The word in settings and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Ldap => "ldap",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }
}
