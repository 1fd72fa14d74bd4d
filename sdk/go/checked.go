package hookmill

import "fmt"

// checked returns an outcome whose texts the host can read: all of them are UTF-8, and ids, titles and tags are within the
// host's limits. An incident without an id is left out with a problem.
func checked(outcome Outcome) Outcome {
	var incidents []*Incident
	for index, incident := range outcome.Incidents {
		if incident == nil || incident.SourceRef == "" {
			Problem(fmt.Sprintf("incident %d of the mapper has no `SourceRef`, the vendor's id; it is left out", index+1))
			continue
		}
		incident.SourceRef = shortened(wellFormed(incident.SourceRef))
		incident.Title = truncate(wellFormed(incident.Title), titleBytesMax)
		for _, text := range []*string{
			&incident.Description, &incident.Category, &incident.VendorSeverity, &incident.OccurredAt, &incident.ChangedAt,
			&incident.ExternalLink,
		} {
			*text = wellFormed(*text)
		}
		checkTexts(incident.Tags)
		for _, observable := range incident.Observables {
			for _, text := range []*string{&observable.DataType, &observable.Value, &observable.Message} {
				*text = wellFormed(*text)
			}
			checkTexts(observable.Tags)
		}
		for index, technique := range incident.Techniques {
			incident.Techniques[index] = Technique{ID: wellFormed(technique.ID), Tactic: wellFormed(technique.Tactic)}
		}
		for index, detail := range incident.Details {
			incident.Details[index] = Field{Name: wellFormed(detail.Name), Value: wellFormed(detail.Value)}
		}
		incidents = append(incidents, incident)
	}
	checkTexts(outcome.Skipped)
	checkTexts(outcome.Problems)
	return Outcome{Incidents: incidents, Skipped: outcome.Skipped, Problems: outcome.Problems}
}

func checkTexts(texts []string) {
	for index, text := range texts {
		texts[index] = wellFormed(text)
	}
}

// shortened returns an id within the host's limit. A longer one ends with a digest of the whole, so that different ids
// stay different.
func shortened(sourceRef string) string {
	if len(sourceRef) <= refBytesMax {
		return sourceRef
	}
	Problem(fmt.Sprintf("the id `%s` has %d bytes and is shortened", excerpt(sourceRef), len(sourceRef)))
	digest := Fingerprint(sourceRef)
	return truncate(sourceRef, refBytesMax-len(digest)) + digest
}
