// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plugin's arguments, and the marks among them.

/// The plugin's arguments: `key=value` each.
pub struct Words(pub Vec<String>);

impl Words {
    /// The value of a key, if it is there.
    pub fn find(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Result<&str, String> {
        self.find(key).ok_or_else(|| format!("no {key}= among {:?}", self.0))
    }

    /// A number, in decimal digits.
    pub fn number(&self, key: &str) -> Result<u64, String> {
        self.value(key)?.parse().map_err(|_| format!("{key} is no number"))
    }

    /// Addresses in hexadecimal digits, with `+` between them.
    pub fn addresses(&self, key: &str) -> Result<Vec<u64>, String> {
        let address = |word: &str| u64::from_str_radix(word, 16);
        let all = self.value(key)?.split('+').map(address).collect::<Result<_, _>>();
        all.map_err(|_| format!("{key} is no list of addresses"))
    }
}

/// Instructions that run in sequence.
pub struct Block {
    pub address: u64,
    /// The size of each instruction, in bytes.
    pub sizes: Vec<usize>,
    /// The bytes of the last instruction.
    pub last: Vec<u8>,
}

impl Block {
    /// The sizes as they are written: `3,1,5`.
    pub fn sizes(&self) -> String {
        let sizes: Vec<String> = self.sizes.iter().map(usize::to_string).collect();
        sizes.join(",")
    }
}
