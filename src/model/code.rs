//! The stable words for machines in every document, state and ledger line: a closed set, so that control flow compares values and strings
//! exist only where something is printed or read.

use super::words::codes;

codes! {
    /// The agent's id is the one that every host without settings of its own has.
    AgentIdDefault = "agent-id-default",
    /// A Keylime agent of this version derives a PCR from its TLS key.
    AgentTooOld = "agent-too-old",
    /// The version of a Keylime agent is not known.
    AgentVersionUnknown = "agent-version-unknown",
    /// A root is to be dropped that a committed certificate still ends at.
    AnchorInUse = "anchor-in-use",
    /// The trust anchor in the settings is another certificate than the pinned one.
    AnchorPin = "anchor-pin",
    /// A value of the settings is not possible.
    BadValue = "bad-value",
    /// An answer of the server that is none of the API's.
    AnswerMalformed = "answer-malformed",
    /// A kept private key, or what it needs to be opened, is not as it was written.
    BlobDamaged = "blob-damaged",
    /// A person had a certificate issued without a verdict.
    BreakGlass = "break-glass",
    /// A revocation list that nothing keeps up to date any more was taken from consumers.
    CrlRemoved = "crl-removed",
    /// A revocation list was not given to consumers: it is not there, not good, or older than the one they have.
    CrlNotDelivered = "crl-not-delivered",
    /// What the token may do could not be found out.
    CapabilitiesUnknown = "capabilities-unknown",
    /// A program of `verify` says that the certificate is not in use.
    CheckFailed = "check-failed",
    /// The clocks of this host and of the server are too far apart.
    ClockSkew = "clock-skew",
    /// The token may do more than a renewal needs.
    DangerousPath = "dangerous-path",
    /// The server has a weakness that is known and mended in a newer version.
    Advisory = "advisory",
    /// Who reads a certificate cannot load a key of this kind.
    ConsumerCannotLoad = "consumer-cannot-load",
    /// A file that `install` asks for could not be made, for want of its password.
    ContainerNotMade = "container-not-made",
    /// A control group of the server wants an approval before it signs.
    ControlGroup = "control-group",
    /// Something was issued and is not deployed yet.
    Debt = "debt",
    /// A generation that is debt was published, since nothing committed could be.
    DebtPublished = "debt-published",
    /// The file system refuses.
    Disk = "disk",
    /// No space, or no quota, is left.
    DiskFull = "disk-full",
    /// A key of the settings that stands there twice.
    Duplicate = "duplicate",
    /// The budget of signing requests is used up.
    Exhausted = "exhausted",
    /// An endpoint of `verify` was looked at.
    Endpoint = "endpoint",
    /// What is published has expired.
    Expired = "expired",
    /// A directory of ours belongs to somebody else.
    ForeignOwner = "foreign-owner",
    /// A login without evidence of the host's state may have certificates signed too.
    EnforcementBypass = "enforcement.bypass",
    /// What logins by evidence stand for is not undone by another one.
    Enforcement = "enforcement",
    /// The service refused the TLS handshake.
    HandshakeRefused = "handshake-refused",
    /// The server did not say in which state it is.
    HealthUnknown = "health-unknown",
    /// A program of `before` refused a new generation.
    HookRefused = "hook-refused",
    /// The certificate that this host logs in with ends before it would be renewed.
    IdentityExpiring = "identity-expiring",
    /// A client certificate or key cannot be used.
    Identity = "identity",
    /// A run ended before this was done.
    Interrupted = "interrupted",
    /// A file of somebody else was renamed, not overwritten.
    KeptAside = "kept-aside",
    /// A link of `install` is not there, or leads elsewhere.
    LinkMissing = "link-missing",
    /// A symbolic link where none may be.
    LinkRefused = "link-refused",
    /// A certificate was carried over from its earlier name.
    Renamed = "renamed",
    /// Both the earlier name of a certificate and its own have something on disk, or what lies under the earlier one stays there.
    RenameConflict = "rename-conflict",
    /// Another settings file that is still there uses the same state directory.
    SharedState = "shared-state",
    /// The settings still name what is to be forgotten.
    StillNamed = "still-named",
    /// Another run holds the lock.
    Locked = "locked",
    /// A login was granted.
    Login = "login",
    /// When a login ends that may end is not known.
    LoginEndUnknown = "login-end-unknown",
    /// A login ends, or is used up, before it is needed the time after next; or one that was given for one use has ended.
    LoginEnds = "login-ends",
    /// No auth method granted a token.
    LoginRefused = "login-refused",
    /// A file is not of the kind that it should be.
    Malformed = "malformed",
    /// Something that is needed is not there.
    Missing = "missing",
    /// A value of the settings that `init` left to a person.
    FillIn = "fill-in",
    /// The settings name no certificate.
    NoCertificates = "no-certificates",
    /// The system gives no random bytes.
    NoRandomness = "no-randomness",
    /// The system gives no event loop.
    NoRuntime = "no-runtime",
    /// systemd does not run here.
    NoSystemd = "no-systemd",
    /// This build, or this server, cannot do what was asked.
    NotAvailable = "not-available",
    /// A copy at a consumer's own path was not written.
    NotCopied = "not-copied",
    /// An agent of SPIRE was not made to attest itself again.
    NotEvicted = "not-evicted",
    /// A consumer's own path does not lead to our files yet.
    NotInstalled = "not-installed",
    /// The notice of a run did not reach the program of the settings.
    NotNotified = "not-notified",
    /// A certificate that was replaced is not revoked.
    NotRevoked = "not-revoked",
    /// The service does not say whether it has read its files.
    NotObservable = "not-observable",
    /// The committed generation could not be published again.
    NotPutBack = "not-put-back",
    /// A service ended after it was started.
    NotRunning = "not-running",
    /// The committed generation could not be given to its consumers.
    NotRepublished = "not-republished",
    /// It waits for a window of its settings.
    OutsideWindow = "outside-window",
    /// The scheduler could not begin.
    NotServed = "not-served",
    /// There is no generation before the committed one.
    NothingToGoBackTo = "nothing-to-go-back-to",
    /// The service still serves the previous certificate.
    OldLeaf = "old-leaf",
    /// A warning in the server's own words.
    Openbao = "openbao",
    /// The service serves a certificate that is neither the new one nor the previous one.
    OtherLeaf = "other-leaf",
    /// The token may use the path.
    PathAllowed = "path-allowed",
    /// PCRs are not as they were when the key was sealed.
    PcrChanged = "pcr-changed",
    /// The TPM has values for the PCRs of the settings.
    Pcrs = "pcrs",
    /// A PCR that nothing measures into.
    PcrUnmeasured = "pcr-unmeasured",
    /// The file system denies access.
    Permission = "permission",
    /// The server denies access.
    PermissionDenied = "permission-denied",
    /// A file that others could change or read.
    Permissions = "permissions",
    /// A private key lies in clear where it should be sealed.
    PlaintextKey = "plaintext-key",
    /// The previous certificate is published again, and not seen on the wire.
    PreviousNotSeen = "previous-not-seen",
    /// The server sent a private key that nobody asked for.
    PrivateKeyInAnswer = "private-key-in-answer",
    /// A profile cannot be used.
    Profile = "profile",
    /// A rate limit quota of the server holds.
    RateLimited = "rate-limited",
    /// The server answers.
    Reachable = "reachable",
    /// The answer of the CA did not pass `validate`.
    Refused = "refused",
    /// A service was only signalled, whose outcome nobody can tell.
    ReloadBySignal = "reload-by-signal",
    /// The service refused to read its files again, or its state is not known.
    ReloadFailed = "reload-failed",
    /// The CA has revoked a certificate.
    Revoked = "revoked",
    /// Whether the CA has revoked a certificate is not known.
    RevocationUnknown = "revocation-unknown",
    /// A role was compared with what it is to sign.
    Role = "role",
    /// A service cannot use a key that stays in the TPM.
    ResidentUnusable = "resident-unusable",
    /// A key that stays in the TPM is not sealed anew.
    Resident = "resident",
    /// The role, or the mount, refuses the request.
    RoleRefused = "role-refused",
    /// The directory that should be a host's root cannot be used.
    Root = "root",
    /// Whether the mount's issuer leads to the pinned trust anchor.
    RootPin = "root-pin",
    /// Runs are further apart than a third of a certificate's life.
    RunsTooSeldom = "runs-too-seldom",
    /// A sealed key would be published in clear on something that is no memory.
    RunNotTmpfs = "run-not-tmpfs",
    /// A service does not start with its previous files either.
    ServiceDown = "service-down",
    /// What a person goes back to ends before what served, and soon.
    ShorterThanServing = "shorter-than-serving",
    /// A new TPM was announced, and it is the pinned one.
    SameTpm = "same-tpm",
    /// The settings of a certificate are wrong.
    Settings = "settings",
    /// A server that was unsealed is sealed since it was asked to read its files.
    SealedByReload = "sealed-by-reload",
    /// The server failed.
    ServerError = "server-error",
    /// The server is sealed or not initialised.
    ServerSealed = "server-sealed",
    /// The server is a standby node.
    Standby = "standby",
    /// `state.json` cannot be understood.
    StateBroken = "state-broken",
    /// `state.json` is of a newer version of omens.
    StateNewer = "state-newer",
    /// `state.json` could not be written.
    StateNotWritten = "state-not-written",
    /// Text that is no TOML.
    Syntax = "syntax",
    /// The server's certificate is not trusted.
    TlsUntrusted = "tls-untrusted",
    /// A service is told to open a file of trust that the settings do not publish.
    TrustUnpublished = "trust-unpublished",
    /// The run's token lives on.
    TokenNotRevoked = "token-not-revoked",
    /// The TPM answers.
    Tpm = "tpm",
    /// The TPM has no slot free.
    TpmBusy = "tpm-busy",
    /// The TPM is in dictionary attack lockout.
    TpmLockout = "tpm-lockout",
    /// The pin of the storage root key was lost, and the TPM that is there was pinned.
    TpmPinnedAnew = "tpm-pinned-anew",
    /// The TPM is another one than the pinned one.
    TpmReplaced = "tpm-replaced",
    /// The TPM does not answer.
    TpmUnreachable = "tpm-unreachable",
    /// A unit of `reload`.
    Unit = "unit",
    /// A key of the settings that does not exist.
    UnknownKey = "unknown-key",
    /// A certificate that the settings do not name.
    UnknownName = "unknown-name",
    /// A profile that does not exist.
    UnknownProfile = "unknown-profile",
    /// A unit that systemd does not know.
    UnknownUnit = "unknown-unit",
    /// Nobody answers.
    Unreachable = "unreachable",
    /// A file cannot be read.
    Unreadable = "unreadable",
    /// The served chain is not good.
    Untrusted = "untrusted",
    /// A file cannot be written.
    Unwritable = "unwritable",
    /// The command line is not understood.
    Usage = "usage",
    /// A verifier's policy compares nothing that a boot measures.
    WeakPolicy = "weak-policy",
    /// A wrapping token that gives nothing: it was unwrapped before or in this run, or has expired.
    WrappingTokenUsed = "wrapping-token-used",
    /// A value of the settings has another type.
    WrongType = "wrong-type",
    /// The verifier's policy names nothing to appraise.
    VerdictEmptyPolicy = "verdict-empty-policy",
    /// The host is in another state than the verifier expects.
    VerdictFailed = "verdict-failed",
    /// The verifier repeats an old result.
    VerdictFrozen = "verdict-frozen",
    /// The verifier knows another host under this one's name.
    VerdictIdentityMismatch = "verdict-identity-mismatch",
    /// The verifier's answer is none, or is dated in the future.
    VerdictMalformed = "verdict-malformed",
    /// No evidence of this host was appraised yet.
    VerdictNever = "verdict-never",
    /// The last pass is too old.
    VerdictStale = "verdict-stale",
    /// The verifier waited in vain for evidence.
    VerdictTimeout = "verdict-timeout",
    /// The verifier does not know this host.
    VerdictUnknownAgent = "verdict-unknown-agent",
    /// The verifier does not answer.
    VerdictUnreachable = "verdict-unreachable",
    /// The verifier is not trusted.
    VerdictUntrusted = "verdict-untrusted",
    /// A service that this one needs has failed in this run.
    WaitsFor = "waits-for",
    /// A window of the settings was not waited for: the certificate would not have lived to be renewed in it.
    WindowOverridden = "window-overridden",
}

/// Tests compare with the word as it is printed.
#[cfg(test)]
impl PartialEq<&str> for Code {
    fn eq(&self, word: &&str) -> bool {
        self.as_str() == *word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_one_code_and_back() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), *code);
            assert_eq!(serde_json::from_str::<Code>(&serde_json::to_string(code).unwrap()).unwrap(), *code);
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b"-.".contains(&b)), "{code}");
        }
    }

    #[test]
    fn a_word_of_a_newer_version_is_no_damage() {
        assert_eq!(serde_json::from_str::<Code>("\"of-tomorrow\"").unwrap(), Code::Unknown);
    }
}
