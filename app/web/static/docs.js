// Draws the API's description into the page. A file, since our policy runs no script in a page.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  filter: true,
  // The validator that Swagger UI asks by default is another site.
  validatorUrl: null,
});
