//! `verify`: what is sound is called sound, and what is not is not.

mod damage;
mod sound;
mod untrusted;
