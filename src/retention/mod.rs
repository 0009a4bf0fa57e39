//! Which archives stay and which go: pure plans over what there is, a policy and a time.

pub(crate) mod archive;
pub(crate) mod forecast;
pub(crate) mod hold;
pub(crate) mod policy;
pub(crate) mod shrink;
