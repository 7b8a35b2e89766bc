// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"strings"

	"github.com/mileusna/useragent"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

const (
	// MaxAgent is how much of a User-Agent header field is read, in bytes.
	MaxAgent = 512
	// maxWord is how many characters of a name from outside are shown.
	maxWord = 40
)

// Agent is what the User-Agent header field of a browser (RFC 9110, section 10.1.5) says: claims of whoever sent it.
type Agent struct {
	// OperatingSystem is a name, with a version where browsers still tell a true one: "macOS 10.14", "iOS 17.4", "Windows".
	OperatingSystem string
	// Browser is a name and the first part of its version: "Chrome 73".
	Browser string
}

// frozen are versions that browsers say whatever the system is.
var frozen = map[string]string{
	useragent.MacOS:   "10.15.7",
	useragent.Windows: "10.0",
	useragent.Android: "10",
}

// ParseAgent reads a header field, or its first [MaxAgent] bytes. What it does not know is empty.
func ParseAgent(field string) Agent {
	if len(field) > MaxAgent {
		field = field[:MaxAgent]
	}
	ua := useragent.Parse(field)
	if ua.Bot {
		return Agent{}
	}
	system := ua.OS
	if version := ua.OSVersion; system != "" && version != "" && version != frozen[ua.OS] && number(version) {
		parts := strings.SplitN(version, ".", 3)
		system += " " + strings.Join(parts[:min(len(parts), 2)], ".")
	}
	browser := ua.Name
	if major, _, _ := strings.Cut(ua.Version, "."); browser != "" && major != "" && number(major) {
		browser += " " + major
	}
	return Agent{OperatingSystem: shown.Neutral(system, maxWord), Browser: shown.Neutral(browser, maxWord)}
}

// number reports whether a version has digits and points only: others are what anybody cares to write.
func number(version string) bool { return strings.Trim(version, "0123456789.") == "" }
