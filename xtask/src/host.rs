//! The machine underneath: what it has, what it lacks, and the engine on it.
