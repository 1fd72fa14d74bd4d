// Package export_hookmill_plugin_mapper has the functions that the generated bindings call, under the names that these use.
// The package hookmill, which imports the bindings, sets them.
package export_hookmill_plugin_mapper

import (
	types "hookmill/internal/bindings/hookmill_plugin_types"
	wit "hookmill/internal/wit/types"
)

var (
	// Describe returns the description of the plugin.
	Describe func() types.Description
	// ToIncidents maps one payload.
	ToIncidents func(types.Event) wit.Result[types.Outcome, types.MappingError]
)
