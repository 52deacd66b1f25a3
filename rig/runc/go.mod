module rig.ottla.dev/runc

go 1.24.0
