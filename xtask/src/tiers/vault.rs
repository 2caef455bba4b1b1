// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks an ssh-agent in a guest of 8 MiB from its users' side: Debian's `vchan-socket-proxy`
//! turns its channel into a Unix socket, which OpenSSH uses like any agent's.
//!
//! Keys are added, listed, used for a login and removed; one is generated in the guest. `sshd` runs
//! as `ProxyCommand`, without a network. A second guest with the same code searches its own memory
//! for the keys.

mod memory;
mod needles;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::memory::SEARCHED;
use super::extent::Run;
use crate::guests::config::{self, Settings};
use crate::guests::{image, life};
use crate::host::steps::step;
use crate::judge::tally::Tally;
use crate::lab::dom0::More;
use crate::lab::{Lab, PATIENCE, debian};

/// The guest's name.
const VAULT: &str = "vault";
/// The agent's socket.
const SOCKET: &str = "/tmp/agent";
/// How long a command such as a login may take: its cryptography is emulated.
const LOGIN: Duration = Duration::from_secs(60);

const PROGRAMS: &[(&str, &str)] = &[
    ("bin/dash", "bin/sh"),
    ("bin/cp", "usr/bin/cp"),
    ("bin/mkdir", "usr/bin/mkdir"),
    ("bin/rm", "usr/bin/rm"),
    ("bin/sleep", "usr/bin/sleep"),
    ("usr/bin/ssh", "usr/bin/ssh"),
    ("usr/bin/ssh-add", "usr/bin/ssh-add"),
    ("usr/bin/ssh-keygen", "usr/bin/ssh-keygen"),
    ("usr/sbin/sshd", "usr/sbin/sshd"),
];
const FILES: [(&str, &str); 5] = [
    ("etc/passwd", "root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    (
        "etc/ssh/sshd_config",
        "HostKey /tmp/host\nAuthorizedKeysFile /tmp/authorized\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n",
    ),
    (
        "etc/ssh/ssh_config",
        "ProxyCommand /usr/sbin/sshd -i -f /etc/ssh/sshd_config\nBatchMode yes\nLogLevel ERROR\n\
         StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nIdentityFile none\n",
    ),
    ("etc/ssh/askpass", "#!/bin/sh\necho \"$PASSPHRASE\"\n"),
];

/// A check: its name, and a function that returns what it saw.
type Check = (&'static str, fn(&mut Lab) -> Result<String>);

const CHECKS: [Check; 9] = [
    ("an agent without keys says so", empty),
    ("ssh-add adds a key", added),
    ("ssh-add -l lists it", listed),
    ("ssh logs in with it", logged_in),
    ("a locked agent neither shows nor uses a key", locked),
    ("ssh-add -d removes it, and nobody logs in", removed),
    ("`vault new` makes a key in the guest, and ssh logs in with it", made),
    ("ssh-add -D removes all keys", removed_all),
    ("unsupported keys are refused", refused),
];

const SEARCHES: [Check; 3] = [
    ("a key that ssh-add adds is in the keyring and nowhere else", memory::of_an_added_key),
    ("a key that is refused is nowhere", memory::of_a_refused_key),
    ("a key made in the guest is in the keyring and nowhere else", memory::of_a_made_key),
];

/// Runs the tier.
pub fn run(run: &Run) -> Result<Tally> {
    let folder = debian::ssh()?;
    let files = FILES.map(|(file, contents)| (file, contents.to_owned())).to_vec();
    let more = More { folder, programs: PROGRAMS, files };
    let built = |name| config::files_of(name, &image::guest(name)?, Settings::none().memory(8));
    let dom0 = run.dom0_with(&[built(VAULT)?, built(SEARCHED)?].concat(), &more)?;
    let mut lab = step("boot the lab", || Lab::boot(&dom0, VAULT, ""))?;
    let mut tally = Tally::default();
    serve(&mut lab, VAULT)?;
    sh(&mut lab, "mkdir -p /root /run/sshd; ssh-keygen -q -t ed25519 -N '' -C host -f /tmp/host")?;
    for (name, check) in CHECKS {
        tally.told(&mut lab, name, check)?;
    }
    life::remove(&mut lab, VAULT)?;
    serve(&mut lab, SEARCHED)?;
    for (name, check) in SEARCHES {
        tally.told(&mut lab, name, check)?;
    }
    life::remove(&mut lab, SEARCHED)?;
    tally.witness(&mut lab, &[])?;
    Ok(tally)
}

/// Creates the guest, and has dom0's proxy make a socket of its channel.
fn serve(lab: &mut Lab, guest: &str) -> Result<()> {
    let domid = life::create(lab, guest, guest, &Settings::none())?;
    lab.says(guest, 0, "serves domain 0")?;
    sh(lab, &format!("rm -f {SOCKET}"))?;
    let path = format!("/local/domain/{domid}/data/vault");
    lab.start(&["vchan-socket-proxy", &domid.to_string(), &path, SOCKET])?;
    sh(lab, &format!("until [ -S {SOCKET} ]; do sleep 0.1; done")).map(drop)
}

/// Runs a command in dom0's shell, and returns its status and output.
fn ended(lab: &mut Lab, words: &str, limit: Duration) -> Result<(String, String)> {
    let set = format!(
        "export PATH=/usr/bin:$PATH SHELL=/bin/sh HOME=/root SSH_AUTH_SOCK={SOCKET}; {words}"
    );
    let program = lab.start(&["/bin/sh", "-c", &set])?;
    let status = lab.status(program, limit).with_context(|| format!("`{words}`"))?;
    Ok((status, lab.output(program)))
}

/// Returns the output of a command that must succeed.
fn sh(lab: &mut Lab, words: &str) -> Result<String> {
    let (status, said) = ended(lab, words, LOGIN)?;
    ensure!(status == "0", "`{words}` ended with status {status}: {said}");
    Ok(said)
}

/// Returns the output of a command that must fail.
fn fails(lab: &mut Lab, words: &str) -> Result<String> {
    let (status, said) = ended(lab, words, LOGIN)?;
    ensure!(status != "0", "`{words}` succeeded: {said}");
    Ok(said)
}

fn says(said: String, words: &str) -> Result<String> {
    ensure!(said.contains(words), "it doesn't say `{words}`, but `{said}`");
    Ok(said)
}

fn empty(lab: &mut Lab) -> Result<String> {
    says(fails(lab, "ssh-add -l")?, "The agent has no identities.")
}

fn added(lab: &mut Lab) -> Result<String> {
    sh(lab, "ssh-keygen -q -t ed25519 -N '' -C me@dom0 -f /tmp/key")?;
    sh(lab, "cp /tmp/key.pub /tmp/authorized")?;
    says(sh(lab, "ssh-add /tmp/key")?, "Identity added: /tmp/key (me@dom0)")
}

fn listed(lab: &mut Lab) -> Result<String> {
    let (listed, key) = (sh(lab, "ssh-add -l")?, sh(lab, "ssh-keygen -lf /tmp/key.pub")?);
    ensure!(listed == key, "`{listed}`, but the key is `{key}`");
    Ok(listed)
}

/// Logs in, and returns what the far end prints.
fn logged_in(lab: &mut Lab) -> Result<String> {
    says(
        sh(lab, "ssh root@dom0 'echo logged in as $LOGNAME by ${SSH_CONNECTION:-a pipe}'")?,
        "logged in as root",
    )
}

fn locked(lab: &mut Lab) -> Result<String> {
    let ask = "export SSH_ASKPASS=/etc/ssh/askpass SSH_ASKPASS_REQUIRE=force PASSPHRASE";
    says(sh(lab, &format!("{ask}=secret; ssh-add -x"))?, "Agent locked.")?;
    says(fails(lab, "ssh-add -l")?, "The agent has no identities.")?;
    says(fails(lab, "ssh root@dom0 true")?, "Permission denied")?;
    fails(lab, &format!("{ask}=wrong; ssh-add -X"))?;
    says(sh(lab, &format!("{ask}=secret; ssh-add -X"))?, "Agent unlocked.")?;
    sh(lab, "ssh-add -l")
}

fn removed(lab: &mut Lab) -> Result<String> {
    let said = says(sh(lab, "ssh-add -d /tmp/key.pub")?, "Identity removed: /tmp/key.pub")?;
    says(fails(lab, "ssh-add -l")?, "The agent has no identities.")?;
    says(fails(lab, "ssh root@dom0 true")?, "Permission denied")?;
    Ok(said)
}

fn made(lab: &mut Lab) -> Result<String> {
    let mark = lab.lines(VAULT).len();
    lab.type_on(VAULT, b"vault new made@vault\r")?;
    let made = |lab: &Lab| {
        let lines = lab.lines_from(VAULT, mark);
        lines.into_iter().find_map(|line| line.strip_prefix("ok vault new ").map(str::to_owned))
    };
    let key = lab.until(PATIENCE, made).context("no key was made")?;
    ensure!(sh(lab, "ssh-add -L")? == key, "the agent's key is not `{key}`");
    sh(lab, &format!("echo '{key}' > /tmp/authorized"))?;
    logged_in(lab)?;
    Ok(key)
}

fn removed_all(lab: &mut Lab) -> Result<String> {
    let said = says(sh(lab, "ssh-add -D")?, "All identities removed.")?;
    says(fails(lab, "ssh-add -l")?, "The agent has no identities.")?;
    Ok(said)
}

/// Checks that a key of another type, and one with a constraint, are refused.
fn refused(lab: &mut Lab) -> Result<String> {
    sh(lab, "ssh-keygen -q -t ecdsa -N '' -f /tmp/other")?;
    let refusal = "Could not add identity";
    says(fails(lab, "ssh-add /tmp/other")?, refusal)?;
    let said = says(fails(lab, "ssh-add -t 100 /tmp/key")?, refusal)?;
    empty(lab)?;
    Ok(said)
}
