//! The binary in the workload pods: produces and consumes, and proves delivery.
