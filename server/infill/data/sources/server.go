package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Store keeps values by name (in memory).
type Store struct {
	mu     sync.Mutex
	values map[string]string
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{values: make(map[string]string)}
}

// Get returns a value and whether there is one.
func (s *Store) Get(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.values[name]
	return value, ok
}

func (s *Store) handle(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/values/")
	switch r.Method {
	case http.MethodGet:
		value, ok := s.Get(name)
		if !ok {
			http.Error(w, fmt.Sprintf("no value %q", name), http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"name": name, "value": value})
	case http.MethodPut:
		var body struct {
			Value string `json:"value"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.values[name] = body.Value
		s.mu.Unlock()
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}
