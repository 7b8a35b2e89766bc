// SPDX-License-Identifier: Apache-2.0

package web

// APIPage describes an API to people who write programs. It has no form. Its own words are English, like those of
// the API itself: set Locale to "en".
type APIPage struct {
	Locale      string
	Title, Lead string
	// Text is paragraphs.
	Text []string
	// Server is the URL below which all paths are, Download the path of the description for programs.
	Server, Download string
	Groups           []APIGroup
	Schemas          []APISchema
	Problems         []APIProblem
}

// APIGroup is some calls under one heading.
type APIGroup struct {
	Name  string
	Calls []APICall
}

// APICall is one method of one path.
type APICall struct {
	ID, Method, Path, Summary, Text string
	Scopes                          []string
	Inputs                          []APIMember
	// Body is the name of a schema; BodyType its content type.
	Body, BodyType string
	Answers        []APIAnswer
}

// APIAnswer is one status of a call. Body is the name of a schema.
type APIAnswer struct{ Status, Text, Body string }

// APISchema is an object in JSON.
type APISchema struct {
	Name, Text string
	Members    []APIMember
}

// APIMember is a member of an object, or a parameter. Schema names the one that its value has, if it has a name.
type APIMember struct {
	Name, Type, Schema, Text string
	Required                 bool
}

// APIProblem is a code of refusals.
type APIProblem struct{ Code, Status, Title string }

func (p APIPage) meta() meta { return meta{template: "api", locale: p.Locale} }

func (p APIPage) check() error { return checkPath(p.Download) }
