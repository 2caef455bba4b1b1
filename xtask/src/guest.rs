//! A guest for the lab that is not one of xen-config's: an example image, and the file that xl creates it from.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{image, paths};

/// Builds the example, and writes `<name>.cfg` for a PV guest of that name; `settings` are whole lines.
///
/// Both files are for dom0's working directory. The kernel gets a name of its own, since a program of dom0's
/// may have the example's.
pub fn files(name: &str, example: &str, settings: &str) -> Result<[PathBuf; 2]> {
    let built = image::guest(example)?;
    let folder = paths::target().join("dom0");
    fs::create_dir_all(&folder)?;
    let (kernel, config) =
        (folder.join(format!("{name}-guest")), folder.join(format!("{name}.cfg")));
    fs::copy(&built, &kernel).with_context(|| format!("no {}", paths::shown(&built)))?;
    let first = format!("name = \"{name}\"\ntype = \"pv\"\nkernel = \"{name}-guest\"\nvcpus = 1\n");
    fs::write(&config, first + settings)?;
    Ok([kernel, config])
}
