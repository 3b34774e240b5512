package app

import (
	"runtime"
	"runtime/debug"

	v1 "github.com/netdoctor/netdoctor/cmd/schema/v1"
)

// Version is this program's version; the linker sets it (-X) for releases. Else
// it is the module's, as `go install` writes it into the binary.
var Version = ""

// build is what the binary knows of itself.
func build() v1.VersionResult {
	r := v1.VersionResult{Version: Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		if r.Version == "" {
			r.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				r.Commit = s.Value
			case "vcs.time":
				r.Date = s.Value
			case "vcs.modified":
				r.Modified = s.Value == "true"
			}
		}
	}
	if r.Version == "" || r.Version == "(devel)" {
		r.Version = "dev"
	}
	return r
}
