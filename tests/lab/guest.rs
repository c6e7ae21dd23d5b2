//! A systemd of its own as PID 1 (`sdlab.sh`) that runs a script of tests/guest with the binary, an OpenBao and the units.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::child::{Output, run};
use super::estate::omens;
use super::{is_root, openbao, tool};

/// Boots, runs the script with these variables, and powers off; `Err` says why that cannot be done here.
pub fn boot(script: &str, variables: &[&str], limit: Duration) -> Result<Output, String> {
    boot_with(script, variables, limit, &["-b".to_owned(), format!("{}:/usr/bin/omens", omens().display())])
}

/// The same with these options of `sdlab.sh` in place of the binary under test.
pub fn boot_with(script: &str, variables: &[&str], limit: Duration, options: &[String]) -> Result<Output, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !is_root() {
        return Err("needs root (namespaces)".to_owned());
    }
    // The guest has a /tmp of its own: what it needs is brought in, wherever this checkout lies.
    let bao = openbao::binary().expect("OpenBao").canonicalize().expect("OpenBao");
    let mut command = Command::new(tool("sdlab.sh"));
    let tools = ["openbao-lab.sh", "swtpm.sh"].map(|name| (tool(name), format!("/opt/lab/{name}")));
    command.args(options);
    for (file, inside) in [(bao, "/usr/bin/bao".to_owned())].into_iter().chain(tools) {
        command.arg("-b").arg(format!("{}:{inside}", file.display()));
    }
    for (dir, inside) in [("units", "/opt/units"), ("tests/guest", "/opt/guest")] {
        let dir = root.join(dir);
        command.arg("-d").arg(format!("{}:{inside}", dir.display()));
    }
    for variable in ["BAO=/usr/bin/bao"].iter().chain(variables) {
        command.args(["-E", variable]);
    }
    command.args(["-t", &limit.as_secs().to_string()]).arg(root.join("tests/guest").join(script));
    let output = run(command, limit + Duration::from_secs(90));
    if output.code == 125 { Err(output.stderr.trim().to_owned()) } else { Ok(output) }
}
