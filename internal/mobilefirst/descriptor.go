// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"cmp"
	"slices"
	"strings"
)

// descriptor is what matters here of an application-descriptor.xml.
type descriptor struct {
	id, name     string
	identity     []string // userIdentityRealms
	environments []environment
}

// environment is one platform that an application is built for.
type environment struct {
	name, test string
	identifier string // of the application on the platform; empty when it says none
}

// readDescriptor reads the descriptor of a hybrid or a native application. Most of it is about how the application is built.
func readDescriptor(file []byte) (*descriptor, error) {
	root, err := parse(file)
	if err != nil {
		return nil, err
	}
	native := strings.HasPrefix(root.name, "native") && strings.HasSuffix(root.name, "App")
	if root.name != "application" && !native {
		return nil, faulty(root.line, "its root is %s, expected application: it is no application-descriptor.xml", printable(root.name))
	}
	d := &descriptor{id: root.attr("id"), name: root.attr("id")}
	if d.id == "" {
		return nil, faulty(root.line, "the application has no id")
	}
	if n := root.child("displayName"); n != nil && strings.TrimSpace(n.text) != "" {
		d.name = strings.TrimSpace(n.text)
	}
	if n := root.child("userIdentityRealms"); n != nil {
		d.identity = strings.FieldsFunc(n.text, func(c rune) bool { return strings.ContainsRune(";, \t\r\n", c) })
	}
	nodes := slices.Clone(root.children)
	if native {
		nodes = append(nodes, root)
	}
	for _, n := range nodes {
		e := environment{n.name, n.attr("securityTest"), cmp.Or(n.attr("bundleId"), n.attr("packageName"))}
		if e.platform() != "" || e.test != "" {
			d.environments = append(d.environments, e)
		}
	}
	return d, nil
}

// platform returns what the platform is called here; empty for what is none.
func (e environment) platform() string {
	return map[string]string{
		"iphone": "ios", "ipad": "ios", "nativeIOSApp": "ios", "android": "android", "nativeAndroidApp": "android",
		"mobileWebApp": "web", "desktopBrowser": "web", "windows8": "windows", "windowsPhone8": "windows",
		"nativeWindowsPhone8App": "windows",
	}[e.name]
}
