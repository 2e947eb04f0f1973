//! The fields of a workload that labels can show, and how much of each they show.

use super::workload::Workload;
use crate::bytes::MAX_VALUE_BYTES;

macro_rules! fields {
    ($($variant:ident $field:ident $most:ident)*) => {
        /// A field of a [`Workload`] that a label can show.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field {
            $(#[doc = concat!("[`Workload::", stringify!($field), "`]")] $variant,)*
        }

        impl Workload {
            /// The value of a field.
            pub fn get(&self, field: Field) -> &str {
                match field { $(Field::$variant => &self.$field,)* }
            }

            /// The workload with nothing but these fields: one that differs from another in the rest
            /// alone, as the pods of a deployment do, must not make label sets of its own. Each is at most
            /// as long as Kubernetes lets it be: what a peer makes up costs the more the longer it is.
            #[must_use]
            pub fn only(&self, fields: Fields) -> Self {
                let mut only = Self::UNKNOWN;
                $(if fields.contains(Field::$variant) {
                    only.$field = first(&self.$field, $most).into();
                })*
                only
            }
        }
    };
}

fields! {
    Name name OF_A_NAME
    Namespace namespace OF_A_LABEL
    App app OF_A_LABEL
    Version version OF_A_LABEL
    CanonicalService canonical_service OF_A_LABEL
    CanonicalRevision canonical_revision OF_A_LABEL
    Cluster cluster OF_A_NAME
    Identity identity OF_AN_IDENTITY
}

/// The most bytes of an object's name in Kubernetes.
const OF_A_NAME: usize = 253;
/// The most bytes of a label's value, and of a namespace.
const OF_A_LABEL: usize = 63;
/// A SPIFFE id may be longer; those of Istio are two names and a trust domain.
const OF_AN_IDENTITY: usize = MAX_VALUE_BYTES;

/// At most so many bytes of a text, whole characters only.
fn first(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes))
        .unwrap_or_default()
}

/// A set of [`Field`]s, of which there are no more than bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields(u8);

impl Fields {
    /// Adds a field.
    pub fn insert(&mut self, field: Field) {
        self.0 |= 1 << field as u8;
    }

    /// Whether a field is in the set.
    pub const fn contains(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    /// Whether no field is.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_show_no_more_than_kubernetes_lets_a_name_have() {
        let long = "é".repeat(200);
        let workload = Workload {
            name: long.clone(),
            namespace: long.clone(),
            app: long,
            canonical_service: "podinfo".into(),
            ..Workload::UNKNOWN
        };
        let mut all = Fields::default();
        for field in [Field::Name, Field::Namespace, Field::App] {
            all.insert(field);
        }
        let shown = workload.only(all);
        assert_eq!((shown.name.len(), shown.namespace.len()), (252, 62));
        assert_eq!((shown.app.len(), &*shown.canonical_service), (62, ""));
    }
}
