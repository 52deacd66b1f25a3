// A thin wrapper of runc for hosts whose own bounding set lacks CAP_SYS_RESOURCE.
//
// A privileged container asks for every capability, and runc refuses what the host cannot give. The wrapper takes
// that one capability out of what is asked for, and raises a negative oomScoreAdj (which needs it) to 0; then it
// becomes runc. It asks for less than its caller did, never for more.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	runc     = "/usr/sbin/runc"
	withheld = "CAP_SYS_RESOURCE"
)

func main() {
	if err := soften(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runc wrapper:", err)
		os.Exit(1)
	}
	target := runc
	if _, err := os.Stat(target); err != nil {
		target = "/usr/bin/runc"
	}
	err := syscall.Exec(target, append([]string{"runc"}, os.Args[1:]...), os.Environ())
	fmt.Fprintln(os.Stderr, "runc wrapper:", err)
	os.Exit(1)
}

// soften edits the file that the command about to run reads: a bundle's config.json, or an exec's process file.
func soften(args []string) error {
	for i, arg := range args {
		switch arg {
		case "create", "run":
			bundle := option(args[i+1:], "--bundle", "-b")
			return edit(filepath.Join(bundle, "config.json"), func(root map[string]any) any { return root["process"] })
		case "exec":
			if file := option(args[i+1:], "--process", "-p"); file != "" {
				return edit(file, func(root map[string]any) any { return root })
			}
			return nil
		}
	}
	return nil
}

// option finds `--name value`, `--name=value` or their short form.
func option(args []string, names ...string) string {
	for i, arg := range args {
		for _, name := range names {
			if arg == name && i+1 < len(args) {
				return args[i+1]
			}
			if value, found := strings.CutPrefix(arg, name+"="); found {
				return value
			}
		}
	}
	return ""
}

func edit(path string, process func(map[string]any) any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // limits do not fit a float
	var root map[string]any
	if err := decoder.Decode(&root); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	of, _ := process(root).(map[string]any)
	if sets, ok := of["capabilities"].(map[string]any); ok {
		for name, list := range sets {
			sets[name] = without(list)
		}
	}
	if score, ok := of["oomScoreAdj"].(json.Number); ok && strings.HasPrefix(score.String(), "-") {
		of["oomScoreAdj"] = 0
	}
	changed, err := json.Marshal(root)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, changed, info.Mode())
}

func without(list any) any {
	names, ok := list.([]any)
	if !ok {
		return list
	}
	kept := []any{}
	for _, name := range names {
		if name != withheld {
			kept = append(kept, name)
		}
	}
	return kept
}
