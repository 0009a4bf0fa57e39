//! Which archives stay and which go: pure plans over what there is, a policy and a time.

pub mod forecast;
pub mod hold;
pub mod policy;
pub mod shrink;
