"""Invented support tickets in Spanish.

Phrases about three causes (0 access, 1 applications, 2 equipment and network), with shared
wording, greetings and a share of wrong labels, so that a model is good but not perfect.
"""

import random
from collections.abc import Iterator

_OPENINGS = [
    "Buenos días", "Buenas tardes", "Estimados", "Cordial saludo", "Hola equipo", "Por favor su apoyo",
    "Solicito ayuda", "Reporto un inconveniente", "Urgente", "Quedo atento a su respuesta",
]  # fmt: skip
_PLACES = [
    "en la oficina de Bogotá", "desde casa por VPN", "en el piso 3", "desde esta mañana",
    "después de la actualización", "en la sede norte", "desde el lunes", "en horario de cierre",
    "con varios usuarios afectados", "según el correo adjunto",
]  # fmt: skip
_PROBLEMS = {
    "0": [
        "no puedo iniciar sesión con mi usuario", "la contraseña aparece vencida",
        "se bloqueó la cuenta después de tres intentos", "necesito permisos sobre la carpeta compartida",
        "el doble factor no envía el código", "solicito creación de usuario para un compañero nuevo",
        "el perfil perdió los accesos al portal", "la firma digital no reconoce mi clave",
        "requiero restablecer la contraseña del correo", "el directorio activo rechaza mis credenciales",
    ],
    "1": [
        "el aplicativo contable se cierra al generar el informe", "el reporte de fondos muestra saldos errados",
        "la interfaz de pagos no carga los extractos", "el sistema calcula mal la comisión del fideicomiso",
        "aparece un error al guardar la orden de giro", "el proceso nocturno terminó con datos incompletos",
        "la consulta de clientes tarda demasiado", "el módulo de nómina duplica los registros",
        "no se refleja el recaudo en el encargo", "la plantilla de cartas sale con campos vacíos",
    ],
    "2": [
        "el computador no enciende", "la impresora atasca el papel", "la red inalámbrica se cae cada rato",
        "el monitor parpadea y se apaga", "la llamada por el teléfono se corta", "el disco duro hace ruido",
        "no hay conexión con el servidor de archivos", "el teclado portátil dejó de responder",
        "la cámara de la sala de juntas no da imagen", "el equipo está muy lento y se calienta",
    ],
}  # fmt: skip
_SOLUTIONS = {
    "0": ["se restablece la clave y se valida el ingreso", "se desbloquea la cuenta en el directorio",
          "se asignan los permisos solicitados", "se reenvía el código de verificación"],
    "1": ["se corrige el parámetro y se reprocesa", "se escala al desarrollo y se publica el ajuste",
          "se regenera el informe con los datos del día", "se actualiza la versión del módulo"],
    "2": ["se reemplaza el cable y queda operando", "se cambia el equipo por uno de respaldo",
          "se reinicia el punto de red", "se limpia el rodillo y se prueba la impresión"],
}  # fmt: skip
_VAGUE_PROBLEM = [
    "no me deja trabajar", "aparece un mensaje de error", "no responde", "necesito revisión pronto",
]  # fmt: skip
_VAGUE_SOLUTION = [
    "se atiende la solicitud",
    "se cierra por falta de respuesta",
    "caso resuelto",
    "",
]

# What people write about after a change of systems: new words, and new causes for old ones.
_NEW_PROBLEMS = {
    "0": [
        "el inicio de sesión único no redirige a la nube", "la llave de seguridad física no se registra",
        "el portal de identidades pide aprobación del administrador",
        "la aplicación móvil de autenticación quedó ligada al celular anterior",
    ],
    "1": [
        "el asistente virtual responde con datos de otro fondo", "la migración a la nube dejó tableros sin cifras",
        "el flujo de aprobación digital se queda en espera", "la sincronización con el nuevo núcleo bancario falla",
    ],
    "2": [
        "el escritorio virtual se congela al conectar la cámara", "la base del portátil no reconoce dos pantallas",
        "los audífonos inalámbricos se desconectan en las reuniones",
        "el punto de acceso nuevo no entrega señal en la terraza",
    ],
}  # fmt: skip
_NEW_SOLUTIONS = {
    "0": ["se aprueba en el portal de identidades", "se vincula la llave al nuevo dispositivo"],
    "1": ["se republica el tablero", "se reintenta la sincronización y se cierra el flujo"],
    "2": ["se actualiza el controlador de la base", "se reubica el punto de acceso"],
}
_MOVED = 0.4  # of the new tickets: an old problem, which another team solves now
_NEW_OWNER = {"0": "1", "1": "2", "2": "0"}
_OLD_MIX, _NEW_MIX = (45, 35, 20), (20, 35, 45)

TICKET_COLUMNS = ("number", "short_description", "close_notes", "etiqueta")


def sample_tickets(
    n_rows: int,
    *,
    seed: int = 42,
    noise: float = 0.06,
    drift: float = 0.0,
    shuffle_labels: bool = False,
) -> Iterator[tuple[str, str, str, str]]:
    """Yield tickets as `TICKET_COLUMNS`.

    Parameters
    ----------
    n_rows : int
    seed : int
        Equal arguments give equal tickets.
    noise : float in [0, 1]
        Share of tickets with a label drawn at random.
    drift : float in [0, 1]
        How far traffic has moved: share of tickets in new words, in the new mix of causes, and
        partly of old problems that other teams solve now.
    shuffle_labels : bool
        Permute all labels: text that says nothing about its label, to see the gate refuse.
    """
    rng = random.Random(seed)
    rows = [_ticket(rng, noise, drift) for _ in range(n_rows)]
    labels = [row[2] for row in rows]
    if shuffle_labels:
        rng.shuffle(labels)
    for number, (row, label) in enumerate(zip(rows, labels, strict=True), start=1):
        yield f"INC{seed:03d}{number:06d}", row[0], row[1], label


def _ticket(rng: random.Random, noise: float, drift: float) -> tuple[str, str, str]:
    is_new = rng.random() < drift
    cause = rng.choices("012", weights=_NEW_MIX if is_new else _OLD_MIX)[0]
    is_vague = rng.random() < 0.18
    known = _NEW_PROBLEMS[cause] if is_new else _PROBLEMS[cause]
    if is_new and rng.random() < _MOVED:
        known, cause = _PROBLEMS[cause], _NEW_OWNER[cause]
    problem = rng.choice(_VAGUE_PROBLEM if is_vague else known)
    if rng.random() < 0.25:  # a second symptom, sometimes of another cause
        problem += " y " + rng.choice(_PROBLEMS[rng.choice("012")])
    description = f"{rng.choice(_OPENINGS)}, {problem} {rng.choice(_PLACES)}."
    if rng.random() < 0.3:
        description += f" Caso RQ{rng.randrange(10_000, 99_999)}."
    solved = _NEW_SOLUTIONS[cause] if is_new else _SOLUTIONS[cause]
    solution = rng.choice(_VAGUE_SOLUTION if rng.random() < 0.45 else solved)
    label = rng.choice("012") if rng.random() < noise else cause
    return description, solution, label
