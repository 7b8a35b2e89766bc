// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Claims decodes the payload into a pointer to a struct or map. A member whose name differs from a field of the struct
// in case only is refused with [ErrMalformed]: encoding/json would take "EXP" for "exp".
func (t Token) Claims(into any) error {
	return UnmarshalObject(t.Payload, into)
}

// UnmarshalObject decodes one JSON object by the rules of the profile: UTF-8, no duplicates, limited depth and width, and
// names in exactly the case that the fields of into have. Errors wrap [ErrMalformed].
func UnmarshalObject(data []byte, into any) error {
	names := fieldNames(reflect.TypeOf(into))
	err := visitObject(data, func(name, _ []byte) error {
		if misspelled(names, string(name)) {
			return fmt.Errorf("a member in the wrong case: %w", ErrMalformed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("a member of the wrong type: %w", ErrMalformed)
	}
	return nil
}

func misspelled(names []string, name string) bool {
	if slices.Contains(names, name) {
		return false
	}
	return slices.ContainsFunc(names, func(want string) bool { return strings.EqualFold(name, want) })
}

// fieldCache maps a reflect.Type to its field names: a process decodes into a handful of types.
var fieldCache sync.Map

// fieldNames returns the member names that encoding/json fills in a struct behind t, those of embedded structs included.
func fieldNames(t reflect.Type) []string {
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	if names, ok := fieldCache.Load(t); ok {
		return names.([]string)
	}
	var names []string
	for _, field := range reflect.VisibleFields(t.Elem()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported() || name == "-" || (field.Anonymous && name == ""):
			continue
		case name == "":
			name = field.Name
		}
		names = append(names, name)
	}
	fieldCache.Store(t, names)
	return names
}
