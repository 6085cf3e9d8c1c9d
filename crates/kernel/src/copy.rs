//! Copies of machines and of what they consist of. A copy into one that is done needs no new memory, which is slow to come by.

/// `Clone`, field by field: `clone_from` writes each into the memory of the old one. Fields behind the semicolon hold nothing but
/// room, and are not copied.
macro_rules! clone_by_field {
    ([$($bound:ident: $of:ident)?] $type:ty { $($field:ident),* $(; $($room:ident),*)? }) => {
        impl$(<$bound: $of>)? Clone for $type {
            fn clone(&self) -> Self {
                Self {
                    $($field: self.$field.clone(),)*
                    $($($room: Default::default(),)*)?
                }
            }

            fn clone_from(&mut self, from: &Self) {
                $(self.$field.clone_from(&from.$field);)*
            }
        }
    };
}
pub(crate) use clone_by_field;
