//go:build !wasip1

package hookmill

import (
	"fmt"
	"os"
)

// Log writes a line to the plugin's log, outside a plugin to standard error.
func Log(_ LogLevel, message string) { fmt.Fprintln(os.Stderr, message) }
