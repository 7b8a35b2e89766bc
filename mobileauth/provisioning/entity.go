// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// Kind is what a key pair stands for.
type Kind string

// The kinds of entities.
const (
	KindApplication Kind = "application" // one installed app
	KindGroup       Kind = "group"       // the apps of a group on one device, which share the key
	KindDevice      Kind = "device"      // the device, with whatever apps share the key
)

// Entity says what the keys of a realm stand for.
type Entity struct {
	Kind Kind
	// Group is the name of a [KindGroup]; empty for the others.
	Group string
}

var validGroup = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ParseEntity reads "application", "group NAME" or "device".
func ParseEntity(text string) (Entity, error) {
	kind, name, named := strings.Cut(text, " ")
	e := Entity{Kind: Kind(kind), Group: name}
	switch {
	case e.Kind == KindGroup && validGroup.MatchString(name):
	case (e.Kind == KindApplication || e.Kind == KindDevice) && !named:
	default:
		return Entity{}, fmt.Errorf("entity %q is none of: application, group NAME with a name of lower case letters, digits and \"._-\", device", text)
	}
	return e, nil
}

// String writes what [ParseEntity] reads.
func (e Entity) String() string {
	if e.Kind == KindGroup {
		return string(e.Kind) + " " + e.Group
	}
	return string(e.Kind)
}

// Groups are the apps of each group, by its name.
type Groups map[string][]string

// Check refuses groups without a proper name or without apps, and apps that cannot be.
func (g Groups) Check() error {
	for name, apps := range g {
		if !validGroup.MatchString(name) {
			return fmt.Errorf("group %q is not a name of lower case letters, digits and \"._-\"", name)
		}
		if len(apps) == 0 {
			return fmt.Errorf("group %q has no application", name)
		}
		for i, app := range apps {
			if !mobileauth.ValidID(app) || slices.Contains(apps[:i], app) {
				return fmt.Errorf("group %q: application %q stands twice or is no id of one", name, app)
			}
		}
	}
	return nil
}

// admits refuses an app whose key cannot stand for the entity.
func (g Groups) admits(e Entity, app string) error {
	if e.Kind == KindGroup && !slices.Contains(g[e.Group], app) {
		return refuse(ReasonGroup)
	}
	return nil
}

// uri is the name of an installation in its certificate.
func (e Entity) uri(app, installation string) *url.URL {
	parts := []string{"gatehouse", string(e.Kind)}
	switch e.Kind {
	case KindApplication:
		parts = append(parts, app)
	case KindGroup:
		parts = append(parts, e.Group)
	case KindDevice:
	}
	return &url.URL{Scheme: "urn", Opaque: strings.Join(append(parts, installation), ":")}
}
