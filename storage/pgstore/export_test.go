// SPDX-License-Identifier: Apache-2.0

package pgstore

// ChannelOf is for tests.
var ChannelOf = channelOf

// MaxNotice is for tests.
const MaxNotice = maxNotice

// Reread reads a notice and returns what it is sent as.
func Reread(text string) (string, error) {
	n, err := parseNotice(text)
	if err != nil {
		return "", err
	}
	return n.text(), nil
}

// Tells returns what a node sends of its changes.
func Tells(changes map[string][]uint64) string {
	n := notice{sender: "node_1", number: 7, changes: changes}
	return n.text()
}

// FollowSQL and AbsentSQL return the statements that follow ways, and look at what was presumed to be absent, in a schema.
func FollowSQL(schema string) string { return statementsFor(namesIn(schema)).follow }

// AbsentSQL is for tests.
func AbsentSQL(schema string) string { return statementsFor(namesIn(schema)).absent }
