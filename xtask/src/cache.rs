//! The build cache: one directory per recipe hash, made whole or not at all.
