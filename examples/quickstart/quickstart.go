// Package quickstart holds the policy of the quickstart, which `signalbox demo` runs by.
package quickstart

import "embed"

// Policy is the folder policy, as people read it here.
//
//go:embed policy/*.yml
var Policy embed.FS
