// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Xen and its toolstack say about grants and domains, independently of our guests.
//!
//! `xl debug-keys g` makes Xen log every domain's active grant entries, those that somebody maps. A
//! dead domain some of whose pages are still held shows as `(null)` in `xl list`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::running::{Lab, PATIENCE};

/// How often to look at the log: nothing signals that it grew.
const LOOK: Duration = Duration::from_millis(20);

/// An active entry: a granted page that somebody maps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Active {
    /// The granter's domid.
    pub granter: u32,
    /// The grant reference.
    pub gref: u32,
    /// The mapper's domid.
    pub mapper: u32,
    /// How often it is mapped, and how: the word that Xen prints.
    pub pin: String,
}

/// All active entries, sorted.
pub fn grants(lab: &mut Lab) -> Result<Vec<Active>> {
    let mark = lab.xen_log()?.len();
    lab.xl(&["debug-keys", "g"])?;
    let end = Instant::now() + PATIENCE;
    loop {
        let log = lab.xen_log()?;
        let said = String::from_utf8_lossy(&log[mark..]);
        if let Some((table, _)) = said.split_once("gnttab_usage_print_all ] done") {
            return parse(table);
        }
        ensure!(Instant::now() < end, "Xen did not print its grants");
        lab.step(Instant::now() + LOOK)?;
    }
}

/// Parses what Xen printed.
fn parse(table: &str) -> Result<Vec<Active>> {
    let mut granter = None;
    let mut all = Vec::new();
    for line in table.lines().map(|line| line.trim_start_matches("(XEN)").trim()) {
        if let Some(rest) = line.split_once("grant-table for remote d").map(|(_, rest)| rest) {
            granter = rest.split(' ').next().and_then(|domid| domid.parse().ok());
        } else if let Some(rest) = line.strip_prefix("[0x") {
            all.push(entry(granter, rest).with_context(|| format!("Xen said: {line}"))?);
        }
    }
    all.sort();
    Ok(all)
}

/// Parses an entry without its first three characters, such as
/// `[0x008]      1 0x0123ab 0x00010001          1 0x0123ab 0x19`.
fn entry(granter: Option<u32>, rest: &str) -> Option<Active> {
    let (gref, rest) = rest.split_once(']')?;
    let mut words = rest.split_whitespace();
    let mapper = words.next()?.parse().ok()?;
    let pin = words.nth(1)?.to_owned();
    Some(Active { granter: granter?, gref: u32::from_str_radix(gref, 16).ok()?, mapper, pin })
}

/// Waits until a domain is gone, zombies included.
pub fn gone(lab: &mut Lab, domid: u32) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while listed(lab, domid)? {
        ensure!(Instant::now() < end, "domain {domid} is still there");
        lab.step(Instant::now() + LOOK)?;
    }
    Ok(())
}

/// Whether Xen has a domain with this domid, dead or alive.
pub fn listed(lab: &mut Lab, domid: u32) -> Result<bool> {
    let (list, domid) = (lab.xl(&["list"])?, domid.to_string());
    Ok(list.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some(&domid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_active_entry_is_read_with_the_domain_it_is_listed_under() {
        let table = "(XEN)       -------- active --------       -------- shared --------\n\
            (XEN) [ref] localdom mfn      pin          localdom gmfn     flags\n\
            (XEN) grant-table for remote d0 (v1)\n\
            (XEN)   1 frames (64 max), 1 maptrack frames (1024 max)\n\
            (XEN) no active grant table entries\n\
            (XEN) grant-table for remote d12 (v1)\n\
            (XEN) [0x001]      0 0x1ec2e 0x00000002          0 0x01ec2e 0x19\n\
            (XEN) [0x09a]      3 0x1ecdc 0x00000001          3 0x01ecdc 0x19\n";
        let active =
            |gref, mapper, pin: &str| Active { granter: 12, gref, mapper, pin: pin.into() };
        let expected = [active(1, 0, "0x00000002"), active(0x9a, 3, "0x00000001")];
        assert_eq!(parse(table).unwrap(), expected);
        assert!(parse("(XEN) [0x001]      0 0x1ec2e 0x00000002").is_err());
    }
}
