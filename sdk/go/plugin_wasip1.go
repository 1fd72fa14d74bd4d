package hookmill

import (
	"errors"
	"runtime/debug"
	"time"

	"hookmill/internal/bindings/hookmill_plugin_log"
	types "hookmill/internal/bindings/hookmill_plugin_types"
	mapper "hookmill/internal/export_hookmill_plugin_mapper"
	wit "hookmill/internal/wit/types"

	// The functions that a host calls.
	_ "hookmill/internal/bindings/wit_exports"
)

func init() {
	// The garbage collector calls the host, which no plugin may do while memory is allocated for its arguments or freed after
	// its call. An instance ends after one event or, if it is reused, when it has grown.
	debug.SetGCPercent(-1)
	mapper.Describe = describe
	mapper.ToIncidents = toIncidents
}

// Log writes a line to the plugin's log.
func Log(level LogLevel, message string) {
	hookmill_plugin_log.Write(uint8(level), wellFormed(message))
}

func describe() types.Description {
	description := exported.Describe()
	return types.Description{
		Name:    wellFormed(description.Name),
		Version: wellFormed(description.Version),
		Summary: wellFormed(description.Summary),
		Scheme:  optional(wellFormed(description.Scheme)),
	}
}

func toIncidents(event types.Event) wit.Result[types.Outcome, types.MappingError] {
	outcome, err := Map(exported, &Event{
		ID:          event.Id,
		Source:      event.Source,
		ReceivedAt:  time.UnixMilli(int64(event.ReceivedAt)).UTC(),
		ContentType: event.ContentType.SomeOr(""),
		Headers:     each(event.Headers, toField),
		Context:     each(event.Context, toField),
		Settings:    each(event.Settings, toField),
		Body:        event.Body,
	})
	if err != nil {
		var refused *MappingError
		reason := wellFormed(err.Error())
		if errors.As(err, &refused) && refused.isUnsupported {
			return wit.Err[types.Outcome](types.MakeMappingErrorUnsupported(reason))
		}
		return wit.Err[types.Outcome](types.MakeMappingErrorMalformed(reason))
	}
	return wit.Ok[types.Outcome, types.MappingError](types.Outcome{
		Incidents: each(outcome.Incidents, fromIncident),
		Skipped:   outcome.Skipped,
		Problems:  outcome.Problems,
	})
}

func fromIncident(incident *Incident) types.Incident {
	return types.Incident{
		SourceRef:      incident.SourceRef,
		Title:          optional(incident.Title),
		Description:    optional(incident.Description),
		Category:       optional(incident.Category),
		Severity:       optionalWord(int(incident.Severity), int(Critical)),
		VendorSeverity: optional(incident.VendorSeverity),
		State:          optionalWord(int(incident.State), int(Resolved)),
		Tlp:            optionalWord(int(incident.TLP), int(Red)),
		OccurredAt:     optional(incident.OccurredAt),
		ChangedAt:      optional(incident.ChangedAt),
		ExternalLink:   optional(incident.ExternalLink),
		Tags:           incident.Tags,
		Observables:    each(incident.Observables, fromObservable),
		Techniques:     each(incident.Techniques, fromTechnique),
		Details:        each(incident.Details, fromField),
	}
}

func fromObservable(observable *Observable) types.Observable {
	return types.Observable{
		DataType: observable.DataType,
		Value:    observable.Value,
		Message:  optional(observable.Message),
		Tags:     observable.Tags,
		Ioc:      observable.IOC,
	}
}

func fromTechnique(technique Technique) types.Technique {
	return types.Technique{Id: technique.ID, Tactic: optional(technique.Tactic)}
}

func fromField(field Field) types.Field { return types.Field(field) }

func toField(field types.Field) Field { return Field(field) }

func each[From any, To any](list []From, convert func(From) To) []To {
	converted := make([]To, len(list))
	for index, element := range list {
		converted[index] = convert(element)
	}
	return converted
}

func optional(text string) wit.Option[string] {
	if text == "" {
		return wit.None[string]()
	}
	return wit.Some(text)
}

// optionalWord returns a word of an enumeration, of which the interface counts from 0. Numbers outside it are absent.
func optionalWord(word, last int) wit.Option[uint8] {
	if word < 1 || word > last {
		return wit.None[uint8]()
	}
	return wit.Some(uint8(word - 1))
}
