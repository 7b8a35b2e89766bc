// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// validTags is a list of entity tags (RFC 9110 8.8.3).
var validTags = regexp.MustCompile(`^(?:W/)?"[!#-~]*"(?:[ \t]*,[ \t]*(?:W/)?"[!#-~]*")*$`)

// maxTags bounds the header.
const maxTags = 1 << 10

// ETag returns the entity tag of a version of a record.
func ETag(version uint64) string { return `"` + strconv.FormatUint(version, 10) + `"` }

// Versions returns the versions that If-Match admits. A request without it is refused, so that nobody overwrites what they
// have not seen, and so is "*", which would say that it does not matter (RFC 9110 13.1.1; RFC 6585 3). Weak tags, and tags that
// are not ours, match nothing.
func Versions(r *http.Request) ([]uint64, error) {
	lines := r.Header["If-Match"]
	if len(lines) == 0 {
		return nil, New(VersionRequired, "send If-Match with the ETag of the record that you have read")
	}
	text := strings.Join(lines, ", ")
	if len(text) > maxTags || !validTags.MatchString(text) {
		return nil, New(InvalidParameter, "If-Match is no list of entity tags").With("If-Match", "want the ETag of the record")
	}
	var versions []uint64
	for tag := range strings.SplitSeq(text, ",") {
		tag = strings.Trim(tag, " \t")
		if version, err := strconv.ParseUint(strings.Trim(tag, `"`), 10, 63); err == nil && ETag(version) == tag {
			versions = append(versions, version)
		}
	}
	return versions, nil
}

// Fresh reports whether the caller has this version already, by If-None-Match (RFC 9110 13.1.2).
func Fresh(r *http.Request, version uint64) bool {
	for _, line := range r.Header["If-None-Match"] {
		if len(line) > maxTags {
			return false
		}
		for tag := range strings.SplitSeq(line, ",") {
			if strings.TrimPrefix(strings.Trim(tag, " \t"), "W/") == ETag(version) {
				return true
			}
		}
	}
	return false
}
