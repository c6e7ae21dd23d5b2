//! What today's renewals ask of OpenBao, as far as scripts, units and agents say it: its address, the mount and the roles.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::{Adopted, Endpoint};
use crate::audit::consumer::openbao::program::OPENBAO;
use crate::audit::run::Told;
use crate::io::look::View;

/// Variables that OpenBao's and Vault's command-line programs read.
const ADDRESSES: [&str; 2] = ["BAO_ADDR", "VAULT_ADDR"];
/// What signs: the path after the mount, before the role.
const CALLS: [&str; 2] = ["/issue/", "/sign/"];
/// The largest text that is looked through.
const LARGEST: u64 = 1 << 20;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Addresses of servers.
    pub addresses: BTreeSet<String>,
    /// Mounts of the PKI.
    pub mounts: BTreeSet<String>,
    /// Roles.
    pub roles: BTreeSet<String>,
}

/// Looks through every unit and script, and through what agents are told.
pub(super) fn read(view: &View, told: &Told) -> Asked {
    let mut asked = Asked::default();
    let files: BTreeSet<&PathBuf> = told.wiring.files.iter().chain(&told.files).collect();
    for file in files {
        let small = view.meta(file).is_ok_and(|meta| meta.size <= LARGEST);
        if let Ok(text) = view.text(file).map(|text| if small { text } else { String::new() }) {
            look_through(&text, &mut asked);
        }
    }
    asked
}

impl Asked {
    /// An OpenBao of this host is the likeliest one, where nothing names another.
    pub(super) fn here(&mut self, certificates: &[Adopted]) {
        let own = certificates.iter().filter(|certificate| certificate.used_by.iter().any(|usage| usage.service == OPENBAO.name));
        if self.addresses.is_empty() {
            let endpoints = own.flat_map(|certificate| &certificate.verify);
            let address = |endpoint: &Endpoint| Some(format!("https://{}:{}", endpoint.server_name, endpoint.address.rsplit(':').next()?));
            self.addresses.extend(endpoints.filter_map(address));
        }
    }
}

fn look_through(text: &str, asked: &mut Asked) {
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        for name in ADDRESSES {
            if let Some((_, value)) = line.split_once(name).and_then(|(_, rest)| rest.split_once('=')) {
                let address: String = value.trim_start_matches(['"', '\'', ' ']).chars().take_while(|c| is_of_address(*c)).collect();
                if address.starts_with("https://") && crate::config::value::https(&address).is_ok() {
                    asked.addresses.insert(address);
                }
            }
        }
        for call in CALLS {
            for (before, after) in line.match_indices(call).map(|(at, _)| (&line[..at], &line[at + call.len()..])) {
                let mount: String = before.chars().rev().take_while(|c| is_of_path(*c)).collect::<Vec<_>>().into_iter().rev().collect();
                let mount = mount.rsplit("v1/").next().unwrap_or_default().trim_matches('/').to_owned();
                let role: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
                // What a policy allows by a pattern is no role.
                let is_pattern = after.chars().nth(role.chars().count()).is_some_and(|next| "*+{$".contains(next));
                let role = role.trim_matches(['.', '-']).to_owned();
                if !role.is_empty() && crate::config::value::mount(&mount).is_ok() {
                    asked.mounts.insert(mount);
                    asked.roles.extend((!is_pattern).then_some(role));
                }
            }
        }
    }
}

fn is_of_address(c: char) -> bool {
    c.is_ascii_alphanumeric() || ":/.-_[]".contains(c)
}

fn is_of_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_say_which_server_mount_and_role_they_ask() {
        let mut asked = Asked::default();
        look_through(
            "#!/bin/sh\n# VAULT_ADDR=https://old:8200\nexport BAO_ADDR=\"https://bao.example:8200\"\n\
             bao write -format=json pki_int/issue/web-servers common_name=x\n\
             curl -s \"$BAO_ADDR/v1/team/pki/sign/hosts\" -d @csr\nVAULT_ADDR=http://plain:8200\necho /issue/ $x/issue/$ROLE\n\
             path \"pki_int/sign/weak-*\" { }\npath \"pki_int/issue/host-{{identity.entity.name}}\" { }\n",
            &mut asked,
        );
        let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            asked,
            Asked {
                addresses: of(&["https://bao.example:8200"]),
                mounts: of(&["pki_int", "team/pki"]),
                roles: of(&["hosts", "web-servers"])
            }
        );
    }
}
