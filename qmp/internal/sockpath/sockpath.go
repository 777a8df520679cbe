// Package sockpath reaches unix sockets whose path is longer than the 107 bytes that sockaddr_un holds.
package sockpath

// maxPath is sizeof(sun_path) less the closing zero. See unix(7).
const maxPath = 107

// Short returns a path of the same socket that fits into a sockaddr_un, and a function that must be called once the path
// has been used for bind or connect. Short paths come back as they are.
func Short(path string) (string, func(), error) {
	if len(path) <= maxPath {
		return path, func() {}, nil
	}
	return viaFolder(path)
}
