//! One target of `tests/fuzz`, named by `OMENS_FUZZ_TARGET`, under libFuzzer.
#![no_main]

#[path = "../../targets.rs"]
#[allow(dead_code)]
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    static CHECK: OnceLock<fn(&[u8])> = OnceLock::new();
    let check = CHECK.get_or_init(|| {
        let name = std::env::var("OMENS_FUZZ_TARGET").expect("OMENS_FUZZ_TARGET names a target");
        targets::ALL.iter().find(|target| target.name == name).expect("a target of that name").check
    });
    check(data);
});
