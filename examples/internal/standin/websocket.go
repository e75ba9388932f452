package standin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"
)

// A conversation is a WebSocket of the Responses API.
type conversation struct{ api http.Handler }

func (c conversation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		_, event, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), websocket.MessageText, answer(r.Context(), c.api, event)); err != nil {
			return
		}
	}
}

// answer is the event that ends a turn. The turn is a call of the stand-in for the API.
func answer(ctx context.Context, api http.Handler, event []byte) []byte {
	var create map[string]any
	if err := json.Unmarshal(event, &create); err != nil || create["type"] != "response.create" {
		return []byte(`{"type":"error","status":400,"error":{"type":"invalid_request_error","message":"Not a response.create event."}}`)
	}
	delete(create, "type")
	body, err := json.Marshal(create)
	if err != nil {
		return fmt.Appendf(nil, `{"type":"error","status":500,"error":{"message":%q}}`, err)
	}
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/responses", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	api.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		var failed struct {
			Error json.RawMessage `json:"error"`
		}
		_ = json.Unmarshal(w.Body.Bytes(), &failed)
		return fmt.Appendf(nil, `{"type":"error","status":%d,"error":%s}`, w.Code, failed.Error)
	}
	return fmt.Appendf(nil, `{"type":"response.completed","sequence_number":0,"response":%s}`, w.Body)
}
