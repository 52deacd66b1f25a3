//! Ottla's automation: demo, test, images, rig.

fn main() {}
