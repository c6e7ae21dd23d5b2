//! `omens` keeps the short-lived certificates of a Linux host alive: it asks OpenBao's PKI to sign a CSR, judges what came back against a
//! reviewed profile and a pinned root, swaps certificate, key and chain in one step, makes the services read them, and proves on the
//! wire that they did. If anything on that way fails, the old certificate goes on serving and the failure is recorded, visible and retried.
//!
//! # Where to read on
//! Beside this page: [`cli`] (the contract: commands, exit codes, documents), [`config`] (settings), [`steps::swap`] (what lies on disk, in
//! which order it comes about, and what every cut leaves), [`steps`] (what services do with new files), [`judge`], [`io`], [`io::openbao`] and
//! [`io::tpm`] (what validators, hosts, OpenBao and TPMs were seen to do), [`audit`] (Keylime's and SPIRE's configuration), [`plan`] (what
//! other agents get wrong). Comments cite these pages by file and section, and
//! `tests/citations.rs` holds that both exist.
//!
//! # The flow
//! ```text
//! Settings ─plan(now)→ Plan ─attest→ Attested ─key→ Key ─issue→ Issued ─validate(now)→ Validated ─keep→ Stored ─stage→ Staged
//!    ─publish→ Published ─ask→ (the services read it) ─prove→ Proven ─commit→ Committed ─finish(End)→ report, state, ledger line
//! ```
//! Each value can be built only in the file of its step (private fields), so a skipped step does not compile: nothing is published that
//! was not validated, nothing is committed that was not proven or openly noted as not proven. A look that fails gives the published value
//! back, since it may be tried again or committed without a proof. Planning decides what is done; after that only the rollout decides, by
//! what services answered, who is committed, goes back or is tried alone (`steps/flow/rollout/next.rs`).
//!
//! A generation that was issued and not deployed (*debt*) enters again before `validate`, and is never signed a second time.
//!
//! # The rooms
//! Read from top to bottom; a room imports only rooms above it, and `tests/house.rs` enforces that, also transitively.
//!
//! | room | its one job |
//! |---|---|
//! | [`model`] | nouns without I/O: names, generations, profiles, secrets, time, state, ledger entry, findings, reports |
//! | [`judge`] | pure judgement of certificates: path, usage, names, pair, lifetime, form; one engine for renewals and reports |
//! | [`io`] | the only code that touches the outside, one door each: reading, writing, processes, TPM, TLS, HTTP, handshakes, OpenBao, Keylime |
//! | [`config`] | files → fragments → validated `Settings`, all errors at once with file, line and column |
//! | [`plan`] | what is there, what to do about it and why; it never writes, starts a process or uses the network |
//! | [`steps`] | the steps above; `flow` alone knows their order, `run` is the frame of every command that changes a host |
//! | [`audit`] | what services on a host are told, what lies there and is served, and what of it goes wrong; it changes nothing |
//! | [`cli`] | one file per kind of command: arguments in, documents and exit codes out |
//!
//! Doors are closed by clippy's `disallowed_methods`; a file that may open one says `#![expect]`, and the house test holds the list.
//! Four joints are traits with one conformance suite each: [`steps::issue::Issuer`], [`steps::key::KeyStore`],
//! [`config::service::Service`] and [`steps::attest::Attester`]; the page of each says how to add one. Everything else is plain functions,
//! structs and enums.
//!
//! # What must always be true
//! 1. A private key is made on the host that uses it, and is in no request, log, argument, environment, core dump or report. Issuance is by
//!    CSR (`sign`): neither `issue`, which makes the key on the server, nor `revoke-with-key`, which sends it.
//! 2. Nothing reaches a consumer that did not pass `validate`: the key matches, a path leads to the pinned root, usages are as the profile
//!    says, every expected name is there and no other, the lifetime is within bounds. What OpenBao warns of is recorded. The engine is that
//!    of `chain-audit` ([`judge`]).
//! 3. Certificate, key and chain are one generation. A reader sees the old one or the new one, also across a power cut.
//! 4. The previous generation stays until the new one is proven at every consumer; otherwise it comes back by itself. What boots after a
//!    power cut is the last *committed* generation.
//! 5. A sealed key is in clear in memory that is wiped and on tmpfs, by the kernel's word each time. What is beyond that (libtss2's own copies,
//!    swap without encryption) `status` says. The TPM is ready before anything is asked of a CA.
//! 6. Where attestation is required, nothing is requested without a fresh verdict, and the certificate that serves stays.
//! 7. Nothing turns off TLS verification, chain validation or the root pin. The one verifier that only records is named `danger_…`, sends no
//!    application data, and what it saw is judged afterwards.
//! 8. A failure is never only a log line: it is an exit code, a state, a ledger entry and a line in `status`. Debt is judged again and
//!    published, never issued again. A budget per certificate breaks loops.
//! 9. Two runs at once, or a run killed at any instruction, leave a host from which the next run converges with no help.
//! 10. `plan`, `status`, `check-config`, `chain-audit`, `init` and `probe` cannot change a host, and start no process; only `check-config` lets a
//!     Keylime agent's program say its version.
//! 11. What one certificate's service, key or settings get wrong costs that certificate, never another one and never the boot: what was
//!     committed is published whatever else is broken, from what it carries itself where the settings are.
//!
//! # Glossary
//! One meaning a name, in code, texts and documents. Words of the field are used as their source defines them.
//!
//! | word | meaning | source |
//! |---|---|---|
//! | anchor | the root that a path must end at, pinned by the SHA-256 of its DER | RFC 5280 §6.1.1 |
//! | chain | certificates as they are sent or kept, the leaf first | RFC 8446 §4.4.2 |
//! | path | certificates from leaf to anchor, each of which signs the one before | RFC 5280 §6 |
//! | leaf, intermediate | an end entity's certificate; a CA's between leaf and anchor | RFC 5280 §3 |
//! | SAN, EKU, key usage, AKI, SKI | as there; EKU is the extended key usage | RFC 5280 §4.2.1 |
//! | SPKI | the SubjectPublicKeyInfo, by which keys and certificates are matched | RFC 5280 §4.1.2.7 |
//! | CSR | what is sent to be signed: PKCS #10 | RFC 2986 |
//! | evidence, verdict, attester, verifier | what a host shows of itself, the appraisal of it (an attestation result), who shows, who appraises | RFC 9334 §4 |
//! | PCR, seal, Name, SRK, TCTI | as there; SRK is the storage root key | TPM 2.0 Part 1; TCG TSS 2.0 |
//! | policy | of a TPM object: what must hold to use it; of OpenBao: what a token may do | TPM 2.0 Part 1 §19; OpenBao |
//! | mount, role, auth method, token, lease | as there; a role of the PKI says what it signs | OpenBao |
//! | unit, reload, restart, credential | as there; a reload keeps the process, a restart does not | systemd.unit(5), systemd.exec(5) |
//!
//! | our word | meaning |
//! |---|---|
//! | profile | a reviewed file that says what a certificate must look like |
//! | generation | one certificate with its key and chain, numbered, never written to again |
//! | live | the link that names the generation that counts: in the state directory the committed one, in the run directory the published one |
//! | stage, publish, commit | write a generation beside the others; let `live` of the run directory name it; let `live` of the state directory name it |
//! | deployed | published, and its services use it |
//! | debt | issued and not deployed: a whole generation newer than the committed one, or a committed one that its services did not prove |
//! | settle | deploy what is here already, without a signature |
//! | proof | how it is known that a generation is deployed: `served`, `file`, `service-stopped`, `none` |
//! | fallback | the generation that is published again where the new one is not deployed |
//! | revert | publish the fallback again, by itself; a *rollback* is the same asked for by a person |
//! | withdrawn | must never be published again |
//! | waiver | a person's word that a finding is lived with until a day; a suppression in SARIF, a skipped case in JUnit |
//! | due | to be worked on in this run, for a reason that `plan` prints |
//! | budget | the signing requests that a certificate may still send |
//! | gate | everything that an answer has to pass before it is staged |
//! | attestation gate | whether anything may be asked of an issuer, by the verdict on this host's state |
//! | handle | what uses a private key without seeing it |
//! | consumer, service, driver | who reads the files; what is asked to read them; how it is asked |
//! | finding | what a check saw: id, severity, expected, found |
//! | proven, unproven | with proof; committed while its service was stopped |
//!
//! Absent on purpose: a shell, a switch that weakens a check, plugins, global state, a clock outside `main`, in-place rewrites.

pub mod model;
// Each room imports only rooms above it; tests/house.rs holds the table.
pub mod judge;
pub mod io;
pub mod config;
pub mod plan;
pub mod steps;
pub mod audit;
pub mod cli;
