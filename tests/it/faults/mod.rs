//! What goes wrong: each time a clear message, a code that is not 0, nothing under a final name, nothing lost, and the
//! password nowhere (every run of a test is searched for it).

mod death;
mod folder;
mod links;
mod network;
mod said;
mod server;
mod steps;
mod tool;
