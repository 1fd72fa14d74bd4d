package hookmill

const hexDigits = "0123456789abcdef"

// String returns the value as JSON.
func (v *Value) String() string { return string(appendValue(nil, v)) }

func appendValue(json []byte, value *Value) []byte {
	if value == nil {
		return append(json, "null"...)
	}
	switch value.kind {
	case isText:
		return appendQuoted(json, value.text)
	case isBool, isNumeric:
		return append(json, value.text...)
	case isList:
		json = append(json, '[')
		for index, element := range value.list {
			if index > 0 {
				json = append(json, ',')
			}
			json = appendValue(json, element)
		}
		return append(json, ']')
	case isObject:
		json = append(json, '{')
		for index, member := range value.members {
			if index > 0 {
				json = append(json, ',')
			}
			json = appendQuoted(json, member.name)
			json = append(json, ':')
			json = appendValue(json, member.value)
		}
		return append(json, '}')
	}
	return append(json, "null"...)
}

func appendQuoted(json []byte, text string) []byte {
	json = append(json, '"')
	for index := range len(text) {
		switch sign := text[index]; {
		case sign == '"' || sign == '\\':
			json = append(json, '\\', sign)
		case sign < ' ':
			json = append(json, '\\', 'u', '0', '0', hexDigits[sign>>4], hexDigits[sign&0xf])
		default:
			json = append(json, sign)
		}
	}
	return append(json, '"')
}
