// SPDX-License-Identifier: MIT OR Apache-2.0
//! Macros for the tables, which name everything once in Rust and once in C, with a row for each
//! value.

/// The case of a family of constants in C.
pub enum Case {
    Lower,
    Upper,
}

impl Case {
    /// Returns the C name: the exception if there is one, else the prefix and the Rust name in this
    /// case.
    pub fn spell(self, prefix: &str, rust: &str, exception: &[&str]) -> String {
        match (exception, self) {
            ([exception, ..], _) => (*exception).to_owned(),
            ([], Self::Lower) => format!("{prefix}{}", rust.to_lowercase()),
            ([], Self::Upper) => format!("{prefix}{rust}"),
        }
    }
}

/// Returns the size of the field that the projection selects.
pub fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// Adds rows for a struct's size, and each field's offset and size. A field may have another name
/// in C.
macro_rules! compare_struct {
    ($rows:ident, $type:ident = $c:literal { $($field:ident $(= $c_field:literal)?),+ $(,)? }) => {
        let size = std::mem::size_of::<$type>() as i64;
        let c = format!("sizeof({})", $c);
        $rows.push($crate::Row { item: stringify!($type).into(), c, value: size });
        $(
            let item = concat!(stringify!($type), ".", stringify!($field)).to_owned();
            let field = [$($c_field,)? stringify!($field)][0];
            $rows.push($crate::Row {
                item: item.clone(),
                c: format!("offsetof({}, {field})", $c),
                value: std::mem::offset_of!($type, $field) as i64,
            });
            $rows.push($crate::Row {
                item,
                c: format!("sizeof((({} *)0)->{field})", $c),
                value: $crate::compare::size_of_field(|it: &$type| &it.$field) as i64,
            });
        )+
    };
}

/// Adds rows for constants without a type of their own.
macro_rules! compare_constants {
    ($rows:ident, { $($constant:ident $(= $c:literal)?),+ $(,)? }) => {$(
        $rows.push($crate::Row {
            item: stringify!($constant).into(),
            c: $crate::compare::Case::Upper.spell("", stringify!($constant), &[$($c)?]),
            value: $constant as i64,
        });
    )+};
}

/// Adds rows for the constants of a newtype (`number`) or of a set of flags (`flags`).
macro_rules! compare_family {
    ($rows:ident, $kind:ident $type:ident = $case:ident $prefix:literal {
        $($constant:ident $(= $c:literal)?),+ $(,)?
    }) => {$(
        $rows.push($crate::Row {
            item: concat!(stringify!($type), "::", stringify!($constant)).into(),
            c: $crate::compare::Case::$case.spell($prefix, stringify!($constant), &[$($c)?]),
            value: compare_family!(@$kind $type::$constant),
        });
    )+};
    (@number $constant:expr) => { $constant.0 as i64 };
    (@flags $constant:expr) => { $constant.bits() as i64 };
}

pub(crate) use {compare_constants, compare_family, compare_struct};
