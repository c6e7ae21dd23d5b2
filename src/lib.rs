//! `omens` keeps the short-lived certificates of a Linux host alive: it asks OpenBao's PKI to sign a CSR, judges what came back against a
//! reviewed profile and a pinned root, swaps certificate, key and chain in one step, makes the service take them up, and proves on the
//! wire that it did. If anything on that way fails, the old certificate goes on serving and the failure is recorded, visible and retried.
//!
//! # The flow
//! ```text
//! Settings ─plan(Tree, now)→ Step ─issue→ Issued ─validate(now)→ Validated ─seal→ Stored
//!    ─stage→ Staged ─publish→ Published ─reload→ (the service was asked) ─verify→ Proven ─commit→ Committed ─record→ Entry
//! ```
//! Each value can be built only in the file of its step (private fields), so a skipped step does not compile: nothing is published that
//! was not validated, nothing is committed that was not proven or openly noted as not proven. A step that fails gives its value back, so
//! that the way back and the record can use it. Planning decides everything; executing decides nothing.
//!
//! A generation that was issued but not taken up (*deploy debt*) enters again before `validate`, and is never signed a second time.
//!
//! # The rooms
//! Read from top to bottom; a room imports only rooms above it, and `tests/house.rs` enforces that, also transitively.
//!
//! | room | its one job |
//! |---|---|
//! | [`model`] | nouns without I/O: names, generations, profiles, secrets, time, state, ledger entry, findings, reports |
//! | [`judge`] | pure judgement of certificates: path, usage, names, pair, lifetime, form; one engine for renewals and reports |
//! | [`io`] | the only code that touches the outside, one door each: reading, writing, processes, TPM, TLS, HTTP, handshakes, OpenBao |
//! | [`config`] | files → fragments → validated `Settings`, all errors at once with file, line and column |
//! | [`plan`] | what is there, what to do about it and why; it never writes, starts a process or uses the network |
//! | [`steps`] | the steps above; `flow` alone knows their order, `run` is the frame of every command that changes a host |
//! | [`audit`] | what services on a host are told, what lies there and is served, and what of it goes wrong; it changes nothing |
//! | [`cli`] | one file per kind of command: arguments in, documents and exit codes out |
//!
//! Doors are closed by clippy's `disallowed_methods`; a file that may open one says `#![expect]`, and the house test holds the list.
//! Four joints are traits with one conformance suite each: [`steps::issue::Issuer`], [`steps::seal::KeyStore`],
//! [`config::service::Service`], and the attester, which comes with attestation. Everything else is plain functions, structs and enums.
//!
//! # What must always be true
//! 1. A private key is made on this host and is in no request, log, argument, environment, core dump or report. Issuance is by CSR.
//! 2. Nothing reaches a consumer that did not pass `validate`: key, path to the pinned root, usages, every name and no other, lifetime.
//! 3. Certificate, key and chain are one generation. A reader sees the old one or the new one, also across a power cut.
//! 4. The previous generation stays until the new one is proven at every consumer; otherwise it comes back by itself.
//! 5. What boots after a power cut is the last *committed* generation ([`steps::swap`] has the order and the cuts).
//! 6. The plaintext of a sealed key exists in memory that is wiped and on tmpfs, by the kernel's word each time; the TPM is asked only where a
//!    key has to be opened or kept, and is ready before anything is asked of a CA ([`steps::seal`]).
//! 7. Nothing turns off TLS verification, chain validation or the root pin. The one verifier that only records is named `danger_…`, sends
//!    no application data, and what it saw is judged afterwards.
//! 8. A failure is never only a log line: it is an exit code, a state, a ledger entry and a line in `status`. A budget per certificate
//!    breaks loops.
//! 9. Two runs at once, or a run killed at any instruction, leave a host from which the next run converges with no help.
//! 10. `plan`, `status`, `check-config`, `chain-audit` and `probe` cannot change a host, and start no process.
//! 11. One engine judges for `renew` and for `chain-audit` ([`judge`]); what a finding says of a certificate, `renew` acts upon.
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
