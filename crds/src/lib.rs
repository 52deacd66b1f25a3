//! Ottla's API types and the CustomResourceDefinitions generated from them.
