module rig.ottla.dev/pause

go 1.24.0
