//! What the operator and the workload pods share: pod configuration, reports, termination summary, verdict.
